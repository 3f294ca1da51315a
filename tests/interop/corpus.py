"""Where the captures for these tests are, and which of them to take."""

import os

SKIPPED = 77  # ctest's SKIP_RETURN_CODE
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CAPTURES = (".pcap", ".pcapng", ".cap", ".trace", ".dmp", ".gz")


def corpus_folder():
    return os.environ.get("FLOWLANE_CORPUS") or os.path.normpath(os.path.join(REPOSITORY, "..", "shared", "corpus"))


def corpus_every():
    return int(os.environ.get("FLOWLANE_CORPUS_EVERY") or 1)


def corpus_files(given=(), every=1):
    """([(path, name)], None), or ([], why there are none). A name is the path below the corpus."""
    if given:
        return [(path, path) for path in given], None
    folder = corpus_folder()
    if not os.path.isdir(folder):
        return [], f"no captures at {folder}; FLOWLANE_CORPUS can name another folder"
    found = []
    for directory, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(directory, name)
            if name.endswith(CAPTURES):
                found.append((path, os.path.relpath(path, folder)))
    found.sort(key=lambda entry: entry[1])
    return found[::every], None if found else f"no captures below {folder}"
