cmake_minimum_required(VERSION 3.25)
# Turns lua/*.lua into generated/scripts.{c,h}, and lua/functions/ with them
# into generated/library.c.
#
# "-- @include name" on a line of its own is replaced by lua/_name.lua, once a
# script however often it is named.  The SHA1 is taken of the text that Redis
# will be given, so that EVALSHA can be sent before anything was loaded.
function(expand path seen_in out_text out_seen)
  file(READ ${path} text)
  set(seen ${seen_in})
  string(REGEX MATCHALL "-- @include [a-z_]+" includes "${text}")
  foreach(line IN LISTS includes)
    string(REPLACE "-- @include " "" name "${line}")
    if(name IN_LIST seen)
      set(body "")
    else()
      list(APPEND seen ${name})
      expand(${SOURCE_DIR}/_${name}.lua "${seen}" body seen)
    endif()
    string(REPLACE "${line}\n" "${body}" text "${text}")
  endforeach()
  set(${out_text} "${text}" PARENT_SCOPE)
  set(${out_seen} ${seen} PARENT_SCOPE)
endfunction()

# `text` as the elements of a C array of char; the text goes to a file on the
# way, which is good to read when Redis names a line of it.
function(bytes_of text path out_bytes)
  file(WRITE ${path} "${text}")
  file(READ ${path} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n"
         bytes "${bytes}")
  set(${out_bytes} "${bytes}" PARENT_SCOPE)
endfunction()

file(GLOB scripts ${SOURCE_DIR}/[a-z]*.lua)
list(SORT scripts)
set(source "#include \"scripts.h\"\n")
set(header "/* Generated from lua/; see common/script.h. */\n#pragma once\n")
string(APPEND header "#include \"common/script.h\"\n")
set(table "")
foreach(path IN LISTS scripts)
  get_filename_component(name ${path} NAME_WE)
  expand(${path} "" text seen)
  string(SHA1 sha "${text}")
  bytes_of("${text}" ${OUTPUT_DIR}/${name}.lua bytes)
  string(APPEND source "static const char text_${name}[] = {\n${bytes}0x00};\n"
    "const struct ms_script ms_script_${name} = {\"${name}\",\n"
    "    \"${sha}\", text_${name}, sizeof(text_${name}) - 1};\n")
  string(APPEND header "extern const struct ms_script ms_script_${name};\n")
  string(APPEND table "    &ms_script_${name},\n")
endforeach()
string(APPEND source
  "const struct ms_script *const ms_scripts[] = {\n${table}    0};\n")
file(WRITE ${OUTPUT_DIR}/scripts.c "${source}")
file(WRITE ${OUTPUT_DIR}/scripts.h "${header}")

# The library of functions.  Its template names scripts ("-- @operation cancel")
# and parts ("-- @part names").  A script becomes a function of its KEYS and
# ARGV, so that both ways in run the very same text.
file(READ ${SOURCE_DIR}/functions/muster.lua library)
string(REGEX MATCHALL "-- @operation [a-z_]+" lines "${library}")
foreach(line IN LISTS lines)
  string(REPLACE "-- @operation " "" name "${line}")
  expand(${SOURCE_DIR}/${name}.lua "" text seen)
  string(REGEX REPLACE "^#!lua[^\n]*\n" "" text "${text}")
  string(REPLACE "${line}\n"
         "ops.${name} = function(KEYS, ARGV)\n${text}end\n" library "${library}")
endforeach()
string(REGEX MATCHALL "-- @part [a-z_]+" lines "${library}")
foreach(line IN LISTS lines)
  string(REPLACE "-- @part " "" name "${line}")
  file(READ ${SOURCE_DIR}/functions/${name}.lua text)
  string(REPLACE "${line}\n" "${text}" library "${library}")
endforeach()
# A release is told from an older one by its number, two builds of one release
# by the sum of the text.
string(REGEX MATCH "([0-9]+)\\.([0-9]+)\\.([0-9]+)" version "${VERSION}")
math(EXPR number "${CMAKE_MATCH_1} * 1000000 + ${CMAKE_MATCH_2} * 1000
                  + ${CMAKE_MATCH_3}")
string(SHA1 build "${library}")
string(REPLACE "-- @release\n"
       "local VERSION, BUILD = ${number}, \"${build}\"\n" library "${library}")
bytes_of("${library}" ${OUTPUT_DIR}/library.lua bytes)
file(WRITE ${OUTPUT_DIR}/library.c "#include \"common/library.h\"\n"
  "static const char text[] = {\n${bytes}0x00};\n"
  "const struct ms_library ms_library = {${number}, \"${build}\", text,\n"
  "    sizeof(text) - 1};\n")
