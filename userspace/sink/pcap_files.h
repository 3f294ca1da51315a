/*
 * One capture file after another: where one ends and the next begins, and what they are called. Set up and finished by the control
 * thread, in between the writer's thread alone.
 */
#ifndef FLOWLANE_PCAP_FILES_H
#define FLOWLANE_PCAP_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunk_writer.h"
#include "flowlane/config.h"
#include "flowlane/pcap_format.h"

struct index_follow;
struct pcap_files;

struct pcap_files_report {
	struct chunk_stream_report stream;
	unsigned files;
	char path[512]; /* "cap.pcap", "cap.000001-000003.pcap" */
};

/* Begins `path`, or with rotation looks at what is there. `header` is copied; `index` is told what is written, or NULL. 0, or a
 * negative errno, logged. */
int pcap_files_open(struct chunk_writer *writer, const struct config *config, const char *path,
	const struct pcap_file_header *header, struct index_follow *index, struct pcap_files **files);
struct chunk_stream *pcap_files_stream(const struct pcap_files *files);
bool pcap_files_rotate(const struct pcap_files *files);
/* After chunk_writer_finish(): ends the last file. NULL: there was no run, nothing is finished, files from before stay. */
void pcap_files_finish(struct pcap_files *files, struct pcap_files_report *report);
/* After chunk_writer_close(), or if there was no stream; accepts NULL. */
void pcap_files_free(struct pcap_files *files);

#endif
