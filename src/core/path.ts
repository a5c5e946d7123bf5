import { BrokerError, invalidRequest, notFound } from './errors.ts'

/** Parameters of a query: no prototype, a repeated name holds a list. */
export type Query = Readonly<Record<string, string | readonly string[]>>

/** A request target, understood once for routing, policy, audit and storage alike. */
export interface Target {
  /** Decoded segments below `/v1/`, joined by `/`. No segment holds a slash, so nothing is lost. */
  readonly path: string
  /** Whether the target ended in a slash. */
  readonly trailingSlash: boolean
  readonly query: Query
}

/** The longest path, in UTF-16 units after decoding; the store's keys have room for it. */
export const PATH_LENGTH_MAX = 2048
const QUERY_PAIRS_MAX = 64

const SLASH = 0x2f
const DOT = 0x2e
const PERCENT = 0x25
const QUESTION = 0x3f
const HASH = 0x23
const BACKSLASH = 0x5c

/** The query of a target that has none. */
export const noQuery: Query = Object.freeze(Object.create(null))

/** Still an escape after one decoding. `50%` is a name, `%2e` is somebody trying (SEC-005). */
const secondEscape = /%[0-9A-Fa-f]{2}/
/** What nobody sees or types on purpose: controls, format and private characters, spaces other than U+0020, U+FFFD. */
const hidden = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}\ufffd]|(?! )\p{Zs}/u

function malformedPath (): BrokerError {
  return invalidRequest('malformed path')
}

function malformedQuery (): BrokerError {
  return invalidRequest('malformed query')
}

/**
 * Understands a raw HTTP request target (RFC 9112 origin-form), or says how it is refused. It
 * refuses rather than repairs: the only repair is that empty segments are dropped (contract 1.1),
 * and each escape is decoded once. Never throws; linear in the length of the target.
 */
export function parseTarget (raw: string): Target | BrokerError {
  if (raw.charCodeAt(0) !== SLASH) return malformedPath()
  let end = raw.length
  let plain = true
  let before = SLASH
  for (let i = 1; i < end; i++) {
    const code = raw.charCodeAt(i)
    if (code === QUESTION) {
      end = i
    } else if (code <= 0x20 || code >= 0x7f || code === HASH || code === BACKSLASH) {
      return malformedPath()
    } else {
      if (code === PERCENT || (before === SLASH && (code === SLASH || code === DOT))) plain = false
      before = code
    }
  }
  const query = end === raw.length ? noQuery : parseQuery(raw.slice(end + 1), QUERY_PAIRS_MAX)
  if (query instanceof BrokerError) return query
  const trailingSlash = before === SLASH
  if (!plain) return parseUnusual(raw.slice(0, end), trailingSlash, query)
  const path = raw.slice(4, trailingSlash ? end - 1 : end)
  if (path === '' || !raw.startsWith('/v1/')) return notFound()
  if (path.length > PATH_LENGTH_MAX) return malformedPath()
  return { path, trailingSlash, query }
}

function parseUnusual (text: string, trailingSlash: boolean, query: Query): Target | BrokerError {
  const segments: string[] = []
  for (const part of text.split('/')) {
    if (part === '') continue
    const segment = parseSegment(part)
    if (segment instanceof BrokerError) return segment
    segments.push(segment)
  }
  if (segments.shift() !== 'v1' || segments.length === 0) return notFound()
  const path = segments.join('/')
  return path.length > PATH_LENGTH_MAX ? malformedPath() : { path, trailingSlash, query }
}

function parseSegment (part: string): string | BrokerError {
  let segment = part
  if (part.includes('%')) {
    try {
      segment = decodeURIComponent(part)
    } catch {
      return malformedPath()
    }
  }
  if (segment === '.' || segment === '..') return invalidRequest('relative paths not supported')
  return isPathSegment(segment) ? segment : malformedPath()
}

/**
 * Whether a decoded text may be one segment of a path: not empty, not relative, no slash, no
 * second escape, nothing hidden, no space at its ends, Unicode normal form C (contract SEC-003 to
 * SEC-016). Names that become segments are held to it too.
 */
export function isPathSegment (segment: string): boolean {
  return segment !== '' && segment !== '.' && segment !== '..' &&
    !segment.includes('/') && !segment.includes('\\') &&
    !segment.startsWith(' ') && !segment.endsWith(' ') &&
    !secondEscape.test(segment) && !hidden.test(segment) && segment.normalize('NFC') === segment
}

/** A path without the slashes at its ends. Takes time in proportion, which a pattern that ends in `/+$` does not. */
export function withoutSlashes (text: string): string {
  let from = 0
  let to = text.length
  while (from < to && text[from] === '/') from++
  while (to > from && text[to - 1] === '/') to--
  return text.slice(from, to)
}

/**
 * Parameters as forms write them: `a=1&b=x+y`, UTF-8 escapes, at most `pairsMax` pairs.
 * Anything that does not decode, or characters that no query may hold, is refused as a whole.
 */
export function parseQuery (text: string, pairsMax: number): Query | BrokerError {
  const result: Record<string, string | string[]> = Object.create(null)
  let pairs = 0
  for (let start = 0; start <= text.length;) {
    const next = text.indexOf('&', start)
    const end = next === -1 ? text.length : next
    if (end > start) {
      if (++pairs > pairsMax) return malformedQuery()
      const pair = text.slice(start, end)
      const equals = pair.indexOf('=')
      const name = decodeText(equals === -1 ? pair : pair.slice(0, equals))
      const value = equals === -1 ? '' : decodeText(pair.slice(equals + 1))
      if (name === null || value === null) return malformedQuery()
      const former = result[name]
      if (former === undefined) result[name] = value
      else if (typeof former === 'string') result[name] = [former, value]
      else former.push(value)
    }
    start = end + 1
  }
  return result
}

const plainText = /^[\w.~:/@!$'()*,;-]*$/
const allowedText = /^[!"$-[\]-~]*$/

function decodeText (text: string): string | null {
  if (plainText.test(text)) return text
  if (!allowedText.test(text)) return null
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return null
  }
}
