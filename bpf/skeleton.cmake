# Makes SKELETON from OBJECT, for struct NAME (flowlane_bpf). bpftool writes it to standard output only, and a half-written file
# must not count as made. Its linker drops the debugging sections but for BTF (half remains), as llvm-strip would.
function(run)
	execute_process(COMMAND ${ARGN} RESULT_VARIABLE result)
	if(NOT result EQUAL 0)
		message(FATAL_ERROR "flowlane: making the skeleton of the XDP program failed (${result}): ${ARGN}")
	endif()
endfunction()

if(NOT NAME)
	set(NAME flowlane_bpf)
endif()
run(${BPFTOOL} gen object ${OBJECT}.stripped ${OBJECT})
run(${BPFTOOL} gen skeleton ${OBJECT}.stripped name ${NAME} OUTPUT_FILE ${SKELETON}.new)
file(RENAME ${SKELETON}.new ${SKELETON})
