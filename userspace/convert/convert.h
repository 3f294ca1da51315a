/*
 * flowlane convert: one-way flow records from csv_flow, binary, pipe and nfcapd to any of these. One thread, in bounded memory.
 *
 *   reader (text, binary, nfcapd) ─▶ join pieces ─▶ anonymize ─▶ writer
 *
 * A layer beside control: it sees base, include and the format writers of sink/.
 */
#ifndef FLOWLANE_CONVERT_H
#define FLOWLANE_CONVERT_H

/* argv[0] is "convert". Returns the exit code of the program. */
int convert_run(int argc, char **argv);

#endif
