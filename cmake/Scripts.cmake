# Every lua/*.lua that does not start with an underscore is one script.  It is
# embedded as ms_script_NAME; files with an underscore come in by @include.
# lua/functions/ is the library that offers some of them to every client.
file(GLOB MUSTER_LUA CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/lua/*.lua
  ${CMAKE_SOURCE_DIR}/lua/functions/*.lua)
set(MUSTER_SCRIPT_SOURCES ${CMAKE_BINARY_DIR}/generated/scripts.c
  ${CMAKE_BINARY_DIR}/generated/library.c)
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/generated/scripts.c
         ${CMAKE_BINARY_DIR}/generated/scripts.h
         ${CMAKE_BINARY_DIR}/generated/library.c
  COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${CMAKE_SOURCE_DIR}/lua
          -DOUTPUT_DIR=${CMAKE_BINARY_DIR}/generated
          -DVERSION=${PROJECT_VERSION}
          -P ${CMAKE_SOURCE_DIR}/cmake/EmbedScripts.cmake
  DEPENDS ${MUSTER_LUA} ${CMAKE_SOURCE_DIR}/cmake/EmbedScripts.cmake
  COMMENT "Embedding the Lua scripts"
  VERBATIM)
