/* `flowlane dump`: audit records as text, JSON, CSV or a table. */
#ifndef FLOWLANE_DUMP_H
#define FLOWLANE_DUMP_H

/* argv[0] is "dump". Returns the exit code of the program. */
int dump_run(int argc, char **argv);

#endif
