cmake_minimum_required(VERSION 3.25)
# Turns lua/*.lua into generated/scripts.{c,h}.
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
  file(WRITE ${OUTPUT_DIR}/${name}.lua "${text}")
  file(READ ${OUTPUT_DIR}/${name}.lua hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n"
         bytes "${bytes}")
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
