# What can be chosen, what the machine offers, and the flags that follow from both.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Kind of build" FORCE)
endif()

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_package(PkgConfig QUIET)
find_package(Threads REQUIRED)
if(PkgConfig_FOUND)
    pkg_check_modules(CHECK QUIET check)
endif()

option(COSY_BUILD_TESTS "Build the tests" ${CHECK_FOUND})
option(COSY_WERROR "Warnings are errors" OFF)
set(COSY_SANITIZE "" CACHE STRING "address, thread, or empty")
set(COSY_WITH_LIBURING AUTO CACHE STRING "AUTO, ON or OFF")
set(COSY_WITH_LIBDW AUTO CACHE STRING "AUTO, ON or OFF")
set(COSY_WITH_OPENSSL AUTO CACHE STRING "AUTO, ON or OFF")
set(COSY_WITH_LIBCURL AUTO CACHE STRING "AUTO, ON or OFF")
set(COSY_WITH_LIBCARES AUTO CACHE STRING "AUTO, ON or OFF")
set(COSY_TEST_PREFIX "" CACHE STRING "What test names begin with")
set_property(CACHE COSY_SANITIZE PROPERTY STRINGS "" address thread)
set_property(CACHE COSY_WITH_LIBURING PROPERTY STRINGS AUTO ON OFF)
set_property(CACHE COSY_WITH_LIBDW PROPERTY STRINGS AUTO ON OFF)
set_property(CACHE COSY_WITH_OPENSSL PROPERTY STRINGS AUTO ON OFF)
set_property(CACHE COSY_WITH_LIBCURL PROPERTY STRINGS AUTO ON OFF)
set_property(CACHE COSY_WITH_LIBCARES PROPERTY STRINGS AUTO ON OFF)

# A plain build is what users get: shared library, tool, variants. The others exist to run tests.
set(COSY_PLAIN_BUILD ON)
if(COSY_SANITIZE OR CMAKE_CROSSCOMPILING)
    set(COSY_PLAIN_BUILD OFF)
endif()
option(COSY_SANITIZER_LIBS "Build the library's variants for cosy run --sanitize" ${COSY_PLAIN_BUILD})

# cosy_find_optional(LIBURING liburing): the pkg-config module, as COSY_WITH_LIBURING says; sets COSY_HAVE_LIBURING.
function(cosy_find_optional name module)
    set(found OFF)
    if(NOT COSY_WITH_${name} STREQUAL "OFF" AND PkgConfig_FOUND)
        pkg_check_modules(${name} QUIET ${module})
        set(found ${${name}_FOUND})
    endif()
    if(COSY_WITH_${name} STREQUAL "ON" AND NOT found)
        message(FATAL_ERROR "COSY_WITH_${name}=ON, but pkg-config does not find '${module}'")
    endif()
    if(found)
        set(COSY_HAVE_${name} ON PARENT_SCOPE)
        message(STATUS "cosy: with ${module} ${${name}_VERSION}")
    else()
        set(COSY_HAVE_${name} OFF PARENT_SCOPE)
        message(STATUS "cosy: without ${module}")
    endif()
    set(${name}_INCLUDE_DIRS "${${name}_INCLUDE_DIRS}" PARENT_SCOPE)
    set(${name}_LIBRARIES "${${name}_LIBRARIES}" PARENT_SCOPE)
    set(${name}_LIBRARY_DIRS "${${name}_LIBRARY_DIRS}" PARENT_SCOPE)
endfunction()
cosy_find_optional(LIBURING liburing)
cosy_find_optional(LIBDW libdw)
cosy_find_optional(LIBCARES libcares)
cosy_find_optional(OPENSSL openssl>=3.0)
# For examples that show other libraries on cosy's loop; the library itself does not use them.
cosy_find_optional(LIBCURL libcurl)

if(COSY_BUILD_TESTS AND NOT CHECK_FOUND AND NOT CMAKE_CROSSCOMPILING)
    message(FATAL_ERROR "the tests need the library 'check' (scripts/setup.sh test installs it)")
endif()

set(COSY_WARNINGS -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
    -Wwrite-strings -Wundef)
if(COSY_WERROR)
    list(APPEND COSY_WARNINGS -Werror)
endif()

# valgrind before 3.20 gives up at the fifth DWARF as clang writes it ("Possibly corrupted debuginfo file"), in whatever program has a piece of it.
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
    add_compile_options(-gdwarf-4)
endif()

# What programs on cosy are compiled and linked with, wherever it is said: cosy.pc, the CMake package, `cosy run`.
# Before gcc 14 a wrong pointer argument is only a warning; here it is the type check of cosy_create_task's arguments.
# Stack clash protection makes a big local array on a small stack meet the guard instead of jumping over it.
# Captured calls replay argument registers, so no call may go through the lazy binder, which would have to keep them.
set(COSY_USER_C_ERRORS -Werror=int-conversion -Werror=incompatible-pointer-types
    -Werror=implicit-function-declaration)
set(COSY_USER_CODEGEN -fstack-clash-protection)
# `return cosy_await(x);` keeps its frame, so that the task tree can show it. Not for the library itself.
set(COSY_USER_FRAMES -fno-optimize-sibling-calls)
set(COSY_USER_LINK -Wl,-z,now)

# Cleared structs of a hundred bytes: gcc's `rep stos` takes longer to begin than the stores take (a child of a task group costs a
# quarter more with it).
include(CheckCCompilerFlag)
set(COSY_LIBRARY_CODEGEN "")
check_c_compiler_flag(-mmemset-strategy=vector_loop:512:noalign,libcall:-1:noalign COSY_HAVE_MEMSET_STRATEGY)
if(COSY_HAVE_MEMSET_STRATEGY)
    set(COSY_LIBRARY_CODEGEN -mmemset-strategy=vector_loop:512:noalign,libcall:-1:noalign)
endif()

set(COSY_SANITIZE_address -fsanitize=address,undefined -fno-omit-frame-pointer)
set(COSY_SANITIZE_thread -fsanitize=thread -fno-omit-frame-pointer)
set(COSY_SANITIZE_FLAGS "")
if(COSY_SANITIZE)
    if(NOT DEFINED COSY_SANITIZE_${COSY_SANITIZE})
        message(FATAL_ERROR "COSY_SANITIZE is '${COSY_SANITIZE}'; it can be address, thread, or empty")
    endif()
    set(COSY_SANITIZE_FLAGS ${COSY_SANITIZE_${COSY_SANITIZE}})
    add_compile_options(${COSY_SANITIZE_FLAGS})
    add_link_options(${COSY_SANITIZE_FLAGS})
endif()

# The build folder has the shape of a prefix: bin/cosy finds lib/libcosy.a and include/ beside itself in both.
foreach(dir BINDIR LIBDIR INCLUDEDIR)
    if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
        file(RELATIVE_PATH COSY_BUILD_${dir} "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_${dir}}")
    else()
        set(COSY_BUILD_${dir} "${CMAKE_INSTALL_${dir}}")
    endif()
endforeach()
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/${COSY_BUILD_BINDIR}")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/${COSY_BUILD_LIBDIR}")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/${COSY_BUILD_LIBDIR}")
