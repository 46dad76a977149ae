# Distribution packages alone; docs/dependencies.md says why each was chosen.
find_package(PkgConfig REQUIRED)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(YAJL REQUIRED IMPORTED_TARGET yajl)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(MHD REQUIRED IMPORTED_TARGET libmicrohttpd)
# Debian 12 calls it msgpackc, Debian 13 msgpack-c, and the latter's .pc file
# names a relative include folder that CMake refuses; libev ships none at all.
find_path(MSGPACK_INCLUDE_DIR msgpack.h REQUIRED)
find_library(MSGPACK_LIBRARY NAMES msgpack-c msgpackc REQUIRED)
find_path(EV_INCLUDE_DIR ev.h REQUIRED)
find_library(EV_LIBRARY ev REQUIRED)

add_library(muster_dependencies INTERFACE)
target_include_directories(muster_dependencies INTERFACE ${EV_INCLUDE_DIR}
  ${MSGPACK_INCLUDE_DIR})
target_link_libraries(muster_dependencies INTERFACE PkgConfig::HIREDIS
  PkgConfig::YAML PkgConfig::YAJL PkgConfig::XXHASH PkgConfig::MHD
  ${MSGPACK_LIBRARY} ${EV_LIBRARY} m)
