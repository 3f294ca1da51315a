/* The pcap file that extracted frames go to. The first frame decides link type and resolution. One thread. */
#ifndef FLOWLANE_FRAME_OUTPUT_H
#define FLOWLANE_FRAME_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "flowlane/pcap_format.h"

struct frame_output;

/* "-" is standard output. 0 or a negative errno, logged. */
int frame_output_open(const char *path, struct frame_output **output);
/* What follows has this link type, and times in nanoseconds or microseconds: of the first input that goes into the file's header, with the
 * snapshot length. 0; or -EINVAL, logged: another link type than before. `name` of the capture. */
int frame_output_begin(struct frame_output *output, const char *name, uint32_t link, uint32_t snaplen, bool nanoseconds);
/* `header` counts its fraction as the input does. 0 or a negative errno, logged. */
int frame_output_put(struct frame_output *output, const struct pcap_record_header *header, const uint8_t *data);
uint64_t frame_output_count(const struct frame_output *output);
/* Finishes the file, and frees. 0 or the first error. */
int frame_output_commit(struct frame_output *output);
void frame_output_abort(struct frame_output *output); /* leaves no file; accepts NULL */

#endif
