/* `flowlane merge OUT IN...`: the packets of several captures in one classic pcap file, in the order of time. */
#ifndef FLOWLANE_MERGE_H
#define FLOWLANE_MERGE_H

/*
 * argv[0] is "merge". Returns the exit code: 0; EXIT_USAGE; EXIT_RUNTIME when an input or the output failed, or an input was cut
 * off (the packets that could be read are written all the same). Packets that come too late to be put in order are written, too,
 * and said in a warning: the code stays 0.
 */
int merge_run(int argc, char **argv);

#endif
