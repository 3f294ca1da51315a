/*
 * Include last in files of the packet path: what would wait, allocate, lock or ask the kernel does not compile.
 * (Files that both set up and run keep the two apart: setup in NAME_setup.c or another file.)
 */
#ifndef FLOWLANE_POISON_H
#define FLOWLANE_POISON_H

#pragma GCC poison malloc calloc realloc free strdup
#pragma GCC poison printf fprintf snprintf sprintf puts
#pragma GCC poison read write open close mmap munmap
#pragma GCC poison clock_gettime gettimeofday time nanosleep usleep
#pragma GCC poison pthread_mutex_lock pthread_cond_wait log_error log_warning log_info

#endif
