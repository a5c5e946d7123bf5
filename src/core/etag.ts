const tags = /(?<=^|,)[ \t]*(?:W\/)?("[\x21\x23-\x7e]*")[ \t]*(?=,|$)/g

/** The entity tag of a revision (RFC 9110 section 8.8.3); a revision holds visible ASCII without quotes. */
export function entityTag (revision: string): string {
  return `"${revision}"`
}

/** Whether a client that sent this If-None-Match has what the tag stands for (RFC 9110 section 13.1.2). */
export function isHeld (ifNoneMatch: string, tag: string): boolean {
  if (ifNoneMatch.trim() === '*') return true
  return [...ifNoneMatch.matchAll(tags)].some(([, held]) => held === tag)
}
