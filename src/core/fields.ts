import { DurationError, parseSeconds } from './duration.ts'
import { invalidRequest } from './errors.ts'
import { parseJsonObject } from './json-scan.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'

/** Turns what a client sent for a parameter into its value, or throws FieldError with a public cause. */
export interface Field<T> {
  readonly kind: string
  readonly description: string
  parse (raw: Json): T
}

/** A parameter's table. Every parameter is optional here: what is required is the operation's to say, in its own words. */
export type Fields = Readonly<Record<string, Field<unknown>>>

/** What an operation gets: `undefined` where a parameter was absent or null (contract 1.11). */
export type Input<F extends Fields> = {
  readonly [K in keyof F]: (F[K] extends Field<infer T> ? T : never) | undefined
}

/** Why a value does not fit its field; the message is public and never repeats the value. */
export class FieldError extends Error {
  override readonly name = 'FieldError'
}

function field<T> (kind: string, parse: (raw: Json) => T) {
  return (description: string): Field<T> => ({ kind, description, parse })
}

const trueWords = new Set(['1', 't', 'T', 'TRUE', 'true', 'True'])
const falseWords = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False', ''])

/** Go's words for booleans (contract 1.2); null for anything else. */
export function parseGoBoolean (text: string): boolean | null {
  if (trueWords.has(text)) return true
  return falseWords.has(text) && text !== '' ? false : null
}

/** A boolean, one of Go's words for it, or 0 and 1. */
export const bool = field('boolean', (raw) => {
  if (typeof raw === 'boolean') return raw
  const text = typeof raw === 'number' ? String(raw) : raw
  if (typeof text === 'string' && trueWords.has(text)) return true
  if (typeof text === 'string' && falseWords.has(text)) return false
  throw new FieldError('expected a boolean')
})

/** A whole number, also as digits. Fractions are refused: 0.4 uses must not become "unlimited". */
export const int = field('integer', toInteger)

function toInteger (raw: Json): number {
  if (raw === '') return 0
  const value = typeof raw === 'string' && /^\s*[+-]?\d{1,16}\s*$/.test(raw) ? Number(raw) : raw
  if (typeof value !== 'number') throw new FieldError(`expected an integer, got ${nameOf(raw)}`)
  if (!Number.isSafeInteger(value)) throw new FieldError('expected an integer')
  return value
}

/** A text; numbers and booleans become theirs. */
export const text = field('string', toText)

function toText (raw: Json): string {
  if (typeof raw === 'string') {
    if (!raw.isWellFormed()) throw new FieldError('expected well-formed text')
    return raw
  }
  if (typeof raw === 'number' || typeof raw === 'boolean') return String(raw)
  throw new FieldError(`expected a string, got ${nameOf(raw)}`)
}

/** A text that must be sent as one: ids and secrets, where a number would be a mistake. */
export const strictText = field('string', (raw) => {
  if (typeof raw !== 'string') throw new FieldError(`expected a string, got ${nameOf(raw)}`)
  return toText(raw)
})

/** Whole seconds; see parseSeconds for the forms. */
export const duration = field('duration', (raw) => {
  try {
    return parseSeconds(raw)
  } catch (error) {
    if (error instanceof DurationError) throw new FieldError(error.message)
    throw error
  }
})

/** Texts, as a list or separated by commas; each trimmed, empty ones dropped. */
export const commaList = field('comma list', (raw) => {
  const items = Array.isArray(raw) ? raw.map(toText) : toText(raw).split(',')
  return items.map((item) => item.trim()).filter((item) => item !== '')
})

/** Texts as a list; a single text is a list of one and is not split. */
export const textList = field('string list', (raw) => Array.isArray(raw) ? raw.map(toText) : raw === '' ? [] : [toText(raw)])

/** Whole numbers, as a list or separated by commas. */
export const commaIntList = field('comma int list', (raw) => {
  const items: readonly Json[] = Array.isArray(raw) ? raw : toText(raw).split(',').filter((item) => item.trim() !== '')
  return items.map(toInteger)
})

/** Names and texts: an object of texts, or a list or comma text of `name=text`. Prototype-less. */
export const textMap = field('map of strings', (raw): Readonly<Record<string, string>> => {
  const result: Record<string, string> = Object.create(null)
  if (isJsonObject(raw)) {
    for (const [name, value] of Object.entries(raw)) result[name] = toText(value)
    return result
  }
  const items = Array.isArray(raw) ? raw.map(toText) : toText(raw).split(',').filter((item) => item.trim() !== '')
  for (const item of items) {
    const at = item.indexOf('=')
    if (at < 1) throw new FieldError('expected pairs of the form name=value')
    result[item.slice(0, at).trim()] = item.slice(at + 1).trim()
  }
  return result
})

/** A JSON object, also as a text that holds one and is held to what a body is held to (SEC-200). */
export const object = field('object', (raw): JsonObject => {
  let value: Json = raw
  if (typeof raw === 'string') {
    try {
      value = parseJsonObject(Buffer.from(raw)).data
    } catch {
      throw new FieldError('expected an object')
    }
  }
  if (!isJsonObject(value)) throw new FieldError(`expected an object, got ${nameOf(raw)}`)
  return value
})

/** Anything: the operation looks at it itself. */
export const any = field('any', (raw) => raw)

function nameOf (raw: Json): string {
  return raw === null ? 'null' : Array.isArray(raw) ? 'a list' : typeof raw === 'object' ? 'an object' : `a ${typeof raw}`
}

/** The parameters of an operation, read from a body or query and from the URL, which wins. */
export interface ReadInput {
  readonly input: Input<Fields>
  /** Names that the operation does not know, sorted. */
  readonly unknown: readonly string[]
  /** Names given twice, where the URL's value was taken, sorted. */
  readonly replaced: readonly string[]
}

/** One of some words; undefined where none was given. @throws BrokerError `invalid_request` for another */
export function oneOf<T extends string> (name: string, words: readonly T[], given: string | undefined): T | undefined {
  const word = words.find((known) => known === given)
  if (given !== undefined && word === undefined) throw invalidRequest(`${name} is one of ${words.join(', ')}`)
  return word
}

/**
 * Reads parameters (contract 1.6, 1.11). Names are looked up as own keys only.
 *
 * @throws BrokerError `invalid_request`, `<prefix>error converting input for field "<name>": <cause>`.
 */
export function readInput (
  fields: Fields, data: JsonObject, captured: ReadonlyMap<string, string>, prefix: string
): ReadInput {
  const input: Record<string, unknown> = Object.create(null)
  const unknown: string[] = []
  const replaced: string[] = []
  for (const name of Object.keys(data)) {
    if (captured.has(name)) {
      replaced.push(name)
    } else if (!Object.hasOwn(fields, name)) {
      unknown.push(name)
    } else {
      const raw = data[name]
      if (raw !== null && raw !== undefined) input[name] = parseField(name, fields[name], raw, prefix)
    }
  }
  for (const [name, value] of captured) input[name] = parseField(name, fields[name], value, prefix)
  return { input, unknown: unknown.sort(), replaced: replaced.sort() }
}

function parseField (name: string, field: Field<unknown> | undefined, raw: Json, prefix: string): unknown {
  if (field === undefined) return raw
  try {
    return field.parse(raw)
  } catch (error) {
    if (error instanceof FieldError) throw invalidRequest(`${prefix}error converting input for field "${name}": ${error.message}`)
    throw error
  }
}
