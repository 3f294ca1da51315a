/* `flowlane extract`: lists flows of packet indexes, and copies their packets out of the captures. */
#ifndef FLOWLANE_EXTRACT_H
#define FLOWLANE_EXTRACT_H

/* argv[0] is "extract". The exit code: 0, 1 usage, 2 something failed. */
int extract_run(int argc, char **argv);

#endif
