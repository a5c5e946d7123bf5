import type { Json, JsonObject } from '../core/json.ts'
import type { Hash } from './hasher.ts'
import { isTimestamp, quote } from './text.ts'

/** What decides how much of a value stands in clear. */
export interface Redaction {
  readonly hash: Hash
  /** Names of our own API: as keys they stand in clear. */
  readonly names: ReadonlySet<string>
  /** Keys below which numbers and booleans are hidden too. */
  readonly secretKeys: ReadonlySet<string> | 'all'
  /** Keys whose values the mount's operator wants in clear. */
  readonly clearKeys: readonly string[]
}

/** Deepest nesting; the transport allows less. */
const depthMax = 100
/** Most keys and values that are hidden one by one. */
const membersMax = 1000
/** Keys of our own below which no number or boolean stands in clear: what is a caller's, and what is a secret. */
const hiddenKeys = new Set([
  'data', 'custom_metadata', 'id', 'input', 'token', 'client_token', 'accessor', 'secret_id', 'secret_id_accessor',
  'role_id', 'external_id', 'access_key', 'secret_key', 'session_token', 'security_token', 'policy', 'rules'
])
/** Values that no setting shows. */
const neverClear = new Set(['client_token', 'token', 'secret_id', 'accessor', 'wrapped_accessor'])

/** Where a value stands. */
interface Place {
  /** Whether its numbers and booleans are hidden too. */
  readonly secret: boolean
  readonly clear: boolean
  /** Objects and lists around it. */
  readonly depth: number
}

/** The writing of one entry's data. */
interface Writing extends Redaction {
  /** Keys and values that may still be hidden one by one. */
  membersLeft: number
}

/**
 * The JSON text of some data with every text in it hidden (contract 8, CRY-030): keys that are not
 * names of our own API are hidden as well, and so are numbers and booleans under a key that is
 * secret or not ours. Large data become one hash and a length (SEC-283).
 *
 * @throws RangeError when the data are nested too deeply: who cannot write the entry has to refuse
 * the request (SEC-263).
 */
export function redact (data: JsonObject, redaction: Redaction): string {
  const writing: Writing = { ...redaction, membersLeft: membersMax }
  const text = objectText(writing, data, redaction.secretKeys === 'all', 1)
  return writing.membersLeft < 0 ? digest(data, redaction.hash) : text
}

function objectText (writing: Writing, data: JsonObject, secret: boolean, depth: number): string {
  const { hash, names, secretKeys, clearKeys } = writing
  let text = ''
  for (const key of Object.keys(data)) {
    if (--writing.membersLeft < 0) return ''
    const clear = clearKeys.includes(key) && !neverClear.has(key)
    const own = names.has(key)
    const hides = secret ||
      (!clear && (!own || hiddenKeys.has(key) || (secretKeys !== 'all' && secretKeys.has(key))))
    text += text === '' ? '{' : ','
    text += clear ? `${quote(key)}:` : `"${own ? key : hash(key)}":`
    text += valueText(writing, data[key] ?? null, { secret: hides, clear, depth })
  }
  return text === '' ? '{}' : `${text}}`
}

/** A list under a key in clear is in clear; an object under it is not. */
function listText (writing: Writing, list: readonly Json[], place: Place): string {
  let text = ''
  for (const value of list) {
    if (--writing.membersLeft < 0) return ''
    text += text === '' ? '[' : ','
    text += valueText(writing, value, place)
  }
  return text === '' ? '[]' : `${text}]`
}

function valueText (writing: Writing, value: Json, { secret, clear, depth }: Place): string {
  if (typeof value !== 'object' || value === null) return clear ? plain(value) : hidden(value, secret, writing.hash)
  if (depth > depthMax) throw new RangeError('data are nested too deeply for the audit log')
  return isList(value)
    ? listText(writing, value, { secret, clear, depth: depth + 1 })
    : objectText(writing, value, secret, depth + 1)
}

/** Texts of some data that are not names of our own, keys included: what no sentence may repeat. The first thousand. */
export function textsOf (data: JsonObject, names: ReadonlySet<string>): string[] {
  const texts: string[] = []
  const open: Json[] = [data]
  for (let value = open.pop(); value !== undefined && texts.length < membersMax; value = open.pop()) {
    if (typeof value === 'string') texts.push(value)
    if (typeof value !== 'object' || value === null) continue
    if (!isList(value)) texts.push(...Object.keys(value).filter((key) => !names.has(key)).slice(0, membersMax))
    open.push(...(isList(value) ? value : Object.values(value)).slice(0, membersMax))
  }
  return texts
}

function isList (value: JsonObject | readonly Json[]): value is readonly Json[] {
  return Array.isArray(value)
}

function plain (value: string | number | boolean | null): string {
  return typeof value === 'string' ? quote(value) : literal(value)
}

/** As JSON writes it. */
function literal (value: number | boolean | null): string {
  return typeof value === 'number' && !Number.isFinite(value) ? 'null' : String(value)
}

function hidden (value: string | number | boolean | null, secret: boolean, hash: Hash): string {
  if (typeof value === 'string') return isTimestamp(value) && !secret ? `"${value}"` : `"${hash(value)}"`
  return value === null || !secret ? literal(value) : `"${hash(String(value))}"`
}

function digest (data: JsonObject, hash: Hash): string {
  const text = JSON.stringify(data)
  return `{"digest":"${hash(text)}","bytes":${Buffer.byteLength(text)}}`
}
