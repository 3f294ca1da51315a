/* The part of the JSON summary that the receiver of streams adds. */
#ifndef FLOWLANE_SUMMARY_STREAMS_H
#define FLOWLANE_SUMMARY_STREAMS_H

#include "flowlane/streams.h"
#include "json_writer.h"

void summary_put_streams(struct json *json, const struct streams_report *streams);

#endif
