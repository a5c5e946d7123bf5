/** Characters that are derived at the end of a mount's name that rotates: 128 bits in base32hex (RFC 4648 section 7). */
export const derivedLength = 26

const derived = /[0-9a-v]{26}/

/** Whether what may be a derived name stands somewhere in a text, in whatever case. */
export function mayHoldName (text: string): boolean {
  return text.length >= derivedLength && derived.test(text.toLowerCase())
}

/** Whether a path is at or below what may be a name of this prefix. */
export function mayBeNamed (path: string, prefix: string): boolean {
  const end = prefix.length + derivedLength
  return path.startsWith(prefix) && (path.length === end || path[end] === '/') && derived.test(path.slice(prefix.length, end))
}
