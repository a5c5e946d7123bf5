import { isAscii, isUtf8 } from 'node:buffer'
import { invalidRequest, type BrokerError } from './errors.ts'
import { isJsonObject, type JsonObject } from './json.ts'

const DEPTH_MAX = 64
const MEMBERS_MAX = 10_000
const NAME_BYTES_MAX = 4096
const NUMBER_BYTES_MAX = 1024
const WALK_BYTES = 64

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BACKSLASH = 0x5c

/** A JSON object from a client, with the text it was read from. */
export interface ParsedObject {
  /** null where the text was `null`. */
  readonly data: JsonObject | null
  readonly text: string
}

function tooComplex (cause: string): BrokerError {
  return invalidRequest(`refused JSON input due to high complexity: ${cause}`)
}

function undecodable (cause: string): BrokerError {
  return invalidRequest(`failed to decode JSON input: ${cause}`)
}

/**
 * Reads a client's JSON object (RFC 8259), or `null`. Depth, members, names and numbers are
 * bounded before anything is built; a name given twice, bytes that are not UTF-8 and halves of
 * surrogate pairs are refused, since two readers could see two things (contract SEC-200, SEC-286).
 *
 * @throws BrokerError `invalid_request`, with a text that repeats nothing of the input.
 */
export function parseJsonObject (bytes: Buffer): ParsedObject {
  const colons = scan(bytes)
  const ascii = isAscii(bytes)
  if (!ascii && !isUtf8(bytes)) throw undecodable('invalid UTF-8')
  const text = ascii ? bytes.toString('latin1') : bytes.toString('utf8')
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch {
    throw undecodable('malformed JSON')
  }
  if (data === null) return { data: null, text }
  if (!isJsonObject(data)) throw undecodable('expected an object')
  const names = countNames(data, text.includes('\\u'))
  if (names !== colons) throw undecodable('a name is given twice')
  return { data, text }
}

/** Checks the limits and counts the colons between names and values. Valid only of valid JSON. */
function scan (bytes: Buffer): number {
  let depth = 0
  let members = 0
  let colons = 0
  let stringBytes = 0
  let tokenStart = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (byte === QUOTE) {
      const end = endOfString(bytes, i + 1)
      stringBytes = end - i
      i = end
    } else if (byte === COLON) {
      if (stringBytes > NAME_BYTES_MAX) throw tooComplex('a name is too long')
      colons++
    } else if (byte === COMMA) {
      members++
    } else if (byte === 0x7b || byte === 0x5b) {
      members++
      if (++depth > DEPTH_MAX) throw tooComplex('too many levels')
    } else if (byte === 0x7d || byte === 0x5d) {
      depth--
    } else {
      if (i - tokenStart > NUMBER_BYTES_MAX && isNumberByte(byte)) throw tooComplex('a number is too long')
      if (isNumberByte(byte)) continue
    }
    tokenStart = i
    if (members > MEMBERS_MAX) throw tooComplex('too many members')
  }
  return colons
}

function isNumberByte (byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x2b && byte <= 0x39
}

/** Index of the quote that ends a string; the length of the text where none does. Short strings are walked, long ones searched. */
function endOfString (bytes: Buffer, start: number): number {
  let i = start
  while (i < bytes.length) {
    const stop = Math.min(i + WALK_BYTES, bytes.length)
    while (i < stop) {
      const byte = bytes[i]
      if (byte === QUOTE) return i
      i += byte === BACKSLASH ? 2 : 1
    }
    const quote = bytes.indexOf(QUOTE, i)
    if (quote === -1) return bytes.length
    let slashes = 0
    while (quote - slashes > i && bytes[quote - slashes - 1] === BACKSLASH) slashes++
    if (slashes % 2 === 0) return quote
    i = quote + 1
  }
  return bytes.length
}

/** Names in a value and all below it. JSON.parse keeps one of equal names, so fewer than colons means a double. */
function countNames (value: unknown, escaped: boolean): number {
  if (typeof value === 'string') {
    if (escaped && !value.isWellFormed()) throw undecodable('half of a surrogate pair')
    return 0
  }
  if (typeof value !== 'object' || value === null) return 0
  let names = 0
  if (Array.isArray(value)) {
    for (const item of value) names += countNames(item, escaped)
    return names
  }
  for (const [name, item] of Object.entries(value)) {
    if (escaped && !name.isWellFormed()) throw undecodable('half of a surrogate pair')
    names += 1 + countNames(item, escaped)
  }
  return names
}
