/** Condition keys of a request in lower case, each with its values; no values means absent. */
export type RequestContext = ReadonlyMap<string, readonly string[]>
