# Owns the target keyward_civetweb: civetweb built from Debian's own source package, for OpenSSL 3, with
# nothing in it that an ACME server does not need. Why not Debian's library: docs/adr/0001-civetweb.md.
#
# KEYWARD_CIVETWEB_SOURCE: a folder with the unpacked source package; else tools/cmake/fetch_civetweb
# gets it once into the cache folder, which outlives the build folder.
set(KEYWARD_CIVETWEB_VERSION "1.15+dfsg-4")
set(KEYWARD_CIVETWEB_SOURCE "" CACHE PATH "Unpacked Debian source package of civetweb (empty: fetch it)")

set(civetweb_source "${KEYWARD_CIVETWEB_SOURCE}")
if(NOT civetweb_source)
  if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
    set(cache "$ENV{XDG_CACHE_HOME}/keyward")
  elseif(DEFINED ENV{HOME} AND NOT "$ENV{HOME}" STREQUAL "")
    set(cache "$ENV{HOME}/.cache/keyward")
  else()
    set(cache "${CMAKE_BINARY_DIR}/cache")
  endif()
  set(civetweb_source "${cache}/civetweb-${KEYWARD_CIVETWEB_VERSION}")
  if(NOT EXISTS "${civetweb_source}/.complete")
    execute_process(
      COMMAND "${CMAKE_CURRENT_LIST_DIR}/fetch_civetweb" "${KEYWARD_CIVETWEB_VERSION}" "${civetweb_source}"
      RESULT_VARIABLE result)
    if(NOT result EQUAL 0)
      message(FATAL_ERROR "civetweb's source could not be obtained (the reason stands above).")
    endif()
  endif()
endif()

# The pin: whatever folder it came from, it is this upstream version with Debian's patches.
file(STRINGS "${civetweb_source}/include/civetweb.h" civetweb_version_line
  REGEX "^#define CIVETWEB_VERSION \"" LIMIT_COUNT 1)
string(REGEX MATCH "^[0-9.]+" civetweb_upstream "${KEYWARD_CIVETWEB_VERSION}")
if(NOT civetweb_version_line MATCHES "\"${civetweb_upstream}\"")
  message(FATAL_ERROR "${civetweb_source} holds another civetweb (${civetweb_version_line}), "
    "not ${civetweb_upstream}.")
endif()
if(EXISTS "${civetweb_source}/debian/patches/series" AND NOT EXISTS "${civetweb_source}/.pc/applied-patches")
  message(FATAL_ERROR "${civetweb_source}: Debian's patches are not applied; unpack it with dpkg-source -x.")
endif()

# whole.c holds civetweb.c and one function more, which says a connection's descriptor.
add_library(keyward_civetweb STATIC "${CMAKE_CURRENT_LIST_DIR}/civetweb/whole.c")
set_source_files_properties("${CMAKE_CURRENT_LIST_DIR}/civetweb/whole.c" PROPERTIES
  OBJECT_DEPENDS "${civetweb_source}/src/civetweb.c")
target_include_directories(keyward_civetweb SYSTEM PUBLIC "${civetweb_source}/include")
# No CGI, files, file system, cache, popen: the code is not there to be reached. The stack is that of an
# ordinary thread, not Debian's 100 KiB, which a 64 KiB buffer overruns.
target_compile_definitions(keyward_civetweb PRIVATE
  NO_SSL_DL OPENSSL_API_3_0 USE_IPV6 NO_CGI NO_FILES NO_FILESYSTEMS NO_CACHING
  USE_STACK_SIZE=1048576 NDEBUG
  MG_EXTERNAL_FUNCTION_mg_cry_internal_impl MG_EXTERNAL_FUNCTION_log_access)
target_include_directories(keyward_civetweb PRIVATE "${CMAKE_CURRENT_LIST_DIR}/civetweb" "${civetweb_source}/src")
# civetweb asks nobody whom it may accept, and waits when its queue is full: firmware/https stands at the
# door. Declared by the system's own header under this name; defined in https_server.cc.
target_compile_definitions(keyward_civetweb PRIVATE accept=keyward_https_accept)
# Foreign code: its warnings are its authors' business; the hardening flags are ours and stay on.
target_compile_options(keyward_civetweb PRIVATE -w -fvisibility=hidden)
if(CMAKE_BUILD_TYPE STREQUAL "Debug" AND NOT KEYWARD_SANITIZE)
  target_compile_options(keyward_civetweb PRIVATE -O1)
endif()
target_link_libraries(keyward_civetweb PUBLIC OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
