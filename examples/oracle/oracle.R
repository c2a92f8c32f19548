#!/usr/bin/env Rscript
# An oracle in R, no packages needed: put your own `score` in and run
# seqtilt oracle check "cmd:Rscript oracle.R"

# The protocol keeps its own connection; what print() and cat() write goes to standard error.
wire <- file("/dev/stdout", "w")
sink(stderr())

ready <- paste0(
  '{"type":"ready","protocol":1,"name":"gc-content","version":"1","deterministic":true,"alphabet":"ACGT",',
  '"length":[1,4096],"max_batch":256,"outputs":[{"name":"gc","direction":"max"}]}'
)

# A number for each sequence; NA where there is none.
score <- function(sequences) {
  (nchar(gsub("[^GC]", "", sequences))) / nchar(sequences)
}

answer <- function(sequences) {
  good <- !grepl("[^ACGT]", sequences)
  said <- rep('"status":"infeasible","reason":"letters other than ACGT"', length(sequences))
  values <- score(sequences[good])
  number <- paste0('"values":{"gc":', format(values, digits = 17, trim = TRUE, scientific = TRUE), "}")
  said[good] <- ifelse(is.finite(values), number, '"status":"failed","reason":"not a number"')
  said
}

reply <- function(...) {
  cat(..., "\n", file = wire, sep = "")
  flush(wire)
}

input <- file("stdin", "r")
while (length(line <- readLines(input, n = 1)) > 0) {
  if (grepl('"type":"hello"', line, fixed = TRUE)) {
    reply(ready)
  } else if (startsWith(line, '{"type":"evaluate"')) {
    # always in this form, without blanks
    id <- sub('^\\{"type":"evaluate","id":([0-9]+),.*$', "\\1", line)
    found <- regmatches(line, gregexpr('\\{"id":"[^"]*","seq":"[^"]*"\\}', line))[[1]]
    items <- character(0)
    if (length(found) > 0) {
      names <- sub('^\\{"id":"([^"]*)".*$', "\\1", found)
      sequences <- sub('^.*"seq":"([^"]*)"\\}$', "\\1", found)
      items <- paste0('{"id":"', names, '",', answer(sequences), "}")
    }
    reply('{"type":"result","id":', id, ',"items":[', paste(items, collapse = ","), "]}")
  } else if (startsWith(line, '{"type":"quit"')) {
    break
  }
}
