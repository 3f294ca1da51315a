# Audit records: the layer that makes them, and the one that reads them.
pkg_check_modules(PROTOBUFC REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(ISAL IMPORTED_TARGET libisal)
find_program(PROTOC_C protoc-c REQUIRED)

# The messages of the audit records, by protoc-c; what it makes is not held to our warnings.
set(ncap_messages)
foreach(name audit legacy)
	set(made ${CMAKE_BINARY_DIR}/ncap/${name}.pb-c)
	add_custom_command(OUTPUT ${made}.c ${made}.h COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/ncap
		COMMAND ${PROTOC_C} --proto_path=${CMAKE_SOURCE_DIR}/userspace/ncap --c_out=${CMAKE_BINARY_DIR}/ncap ${name}.proto
		DEPENDS userspace/ncap/${name}.proto VERBATIM)
	list(APPEND ncap_messages ${made}.c)
endforeach()
add_library(ncap_messages STATIC ${ncap_messages})
target_compile_options(ncap_messages PRIVATE -w)
target_include_directories(ncap_messages PUBLIC ${CMAKE_BINARY_DIR}/ncap)
target_link_libraries(ncap_messages PUBLIC PkgConfig::PROTOBUFC)
flowlane_layer(ncap SEES decode LINKS decode ncap_messages PkgConfig::NETTLE m)
target_compile_definitions(ncap PRIVATE FLOWLANE_VERSION="${PROJECT_VERSION}")
if(ISAL_FOUND)
	target_link_libraries(ncap PUBLIC PkgConfig::ISAL)
	target_compile_definitions(ncap PRIVATE FLOWLANE_ISAL)
else()
	target_link_libraries(ncap PUBLIC ZLIB::ZLIB)
endif()
target_link_libraries(sink PUBLIC ncap)
target_compile_definitions(sink PRIVATE FLOWLANE_NCAP)
flowlane_layer(dump SEES ncap LINKS ncap ZLIB::ZLIB)
