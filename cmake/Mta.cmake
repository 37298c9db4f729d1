# SPDX-License-Identifier: Apache-2.0
# The build in three words: mta_library(), mta_daemon(), mta_tool().
#
# A folder names itself and what it uses: `mta_library(queue base mail)`. Every *.c in it
# is built; every *_test.c becomes a CTest named folder/file. Dependencies are other
# libraries of ours by their folder name, or names of pkg-config modules with a PkgConfig::
# prefix. Nothing else decides which headers a folder can see, so this is the layer list
# as the compiler checks it (scripts/check-layers checks the order as well).

option(HIKYAKU_FAULTS "Compile the fault-injection hooks into the system-call seam" OFF)
option(HIKYAKU_WERROR "Treat warnings as errors" OFF)
option(HIKYAKU_HARDEN "Build with the hardening of a release" OFF)
set(HIKYAKU_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")

find_package(PkgConfig REQUIRED)
pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET cmocka)

add_library(mta_options INTERFACE)
target_compile_features(mta_options INTERFACE c_std_17)
target_compile_definitions(mta_options INTERFACE _GNU_SOURCE
    $<$<BOOL:${HIKYAKU_FAULTS}>:HIKYAKU_FAULTS=1>)
target_compile_options(mta_options INTERFACE
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wvla -Wswitch-enum -Wundef
    -Wimplicit-fallthrough -Wnull-dereference -Wconversion -Wno-sign-conversion
    -fno-common -fno-strict-aliasing
    $<$<BOOL:${HIKYAKU_WERROR}>:-Werror>)
if(HIKYAKU_SANITIZE)
    target_compile_options(mta_options INTERFACE
        -fsanitize=${HIKYAKU_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(mta_options INTERFACE -fsanitize=${HIKYAKU_SANITIZE})
endif()
if(HIKYAKU_HARDEN)
    target_compile_options(mta_options INTERFACE
        -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong
        -fstack-clash-protection -fcf-protection -fPIE
        $<$<C_COMPILER_ID:GNU>:-ftrivial-auto-var-init=zero>)
    target_link_options(mta_options INTERFACE -pie -Wl,-z,relro,-z,now)
endif()

# Folder names become target names with a prefix: a library and a daemon may share a name.
function(mta_link target)
    target_link_libraries(${target} PRIVATE mta_options)
    foreach(dep IN LISTS ARGN)
        if(dep MATCHES "::" OR dep STREQUAL "m")
            target_link_libraries(${target} PUBLIC ${dep})
        else()
            target_link_libraries(${target} PUBLIC l_${dep})
        endif()
    endforeach()
endfunction()

# Tests see the folder they stand in and everything its code links to.
function(mta_tests name folder)
    file(GLOB tests CONFIGURE_DEPENDS *_test.c)
    foreach(t IN LISTS tests)
        get_filename_component(n ${t} NAME_WE)
        add_executable(test_${folder}_${n} ${t})
        target_link_libraries(test_${folder}_${n} PRIVATE mta_options PkgConfig::cmocka ${ARGN})
        target_compile_definitions(test_${folder}_${n} PRIVATE
            SOURCE_DIR="${CMAKE_CURRENT_SOURCE_DIR}")
        set_target_properties(test_${folder}_${n} PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test)
        add_test(NAME ${name}/${n} COMMAND test_${folder}_${n})
        set_tests_properties(${name}/${n} PROPERTIES LABELS unit TIMEOUT 120)
    endforeach()
endfunction()

function(mta_sources out)
    file(GLOB src CONFIGURE_DEPENDS *.c)
    list(FILTER src EXCLUDE REGEX "_test\\.c$")
    set(${out} ${src} PARENT_SCOPE)
endfunction()

function(mta_library name)
    mta_sources(src)
    add_library(l_${name} STATIC ${src})
    target_include_directories(l_${name} PUBLIC ${PROJECT_SOURCE_DIR}/lib)
    mta_link(l_${name} ${ARGN})
    mta_tests(lib/${name} lib_${name} l_${name})
endfunction()

# A program is main.c and the rest of its folder; the rest is also a library, so that
# the folder's tests can call it.
function(mta_program kind name output_dir)
    mta_sources(src)
    list(FILTER src EXCLUDE REGEX "/main\\.c$")
    if(src)
        add_library(${kind}_${name}_parts STATIC ${src})
        mta_link(${kind}_${name}_parts ${ARGN})
        set(parts ${kind}_${name}_parts)
    endif()
    add_executable(${kind}_${name} main.c)
    target_link_libraries(${kind}_${name} PRIVATE ${parts})
    mta_link(${kind}_${name} ${ARGN})
    set_target_properties(${kind}_${name} PROPERTIES
        OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${output_dir})
    if(parts)
        mta_tests(${kind}/${name} ${kind}_${name} ${parts})
    endif()
endfunction()

function(mta_daemon name)
    mta_program(daemon ${name} libexec ${ARGN})
endfunction()

function(mta_tool name)
    mta_program(tool ${name} bin ${ARGN})
    if(HIKYAKU_SANITIZE)
        target_sources(tool_${name} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/sanitized_program.c)
    endif()
endfunction()
