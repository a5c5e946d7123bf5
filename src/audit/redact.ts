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

/** What stands before a value, and how much of it is shown. */
interface Shown { readonly text: string, readonly secret: boolean, readonly clear: boolean }

/** An object or list that is being written. The values of a list are shown as it says, those of an object as their keys say. */
interface Frame extends Shown {
  readonly of: JsonObject | readonly Json[]
  /** null for a list. */
  readonly keys: readonly string[] | null
  readonly length: number
  at: number
}

/**
 * The JSON text of some data with every text in it hidden (contract 8, CRY-030): keys that are not
 * names of our own API are hidden as well, and so are numbers and booleans under a key that is
 * secret or not ours. Large data become one hash and a length (SEC-283).
 *
 * Walks with a stack of its own. @throws RangeError when the data are nested too deeply: who cannot
 * write the entry has to refuse the request (SEC-263).
 */
export function redact (data: JsonObject, redaction: Redaction): string {
  const { hash } = redaction
  const frames: Frame[] = [frameOf(data, redaction.secretKeys === 'all', false)]
  let text = '{'
  let members = 0
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    if (frame.at === frame.length) {
      text += frame.keys === null ? ']' : '}'
      frames.pop()
      continue
    }
    if (++members > membersMax) return digest(data, hash)
    const value = valueAt(frame)
    const shown = frame.keys === null ? frame : showKey(frame.keys[frame.at] ?? '', frame.secret, redaction)
    text += frame.at > 0 ? `,${shown.text}` : shown.text
    frame.at++
    if (typeof value === 'object' && value !== null) {
      if (frames.length > depthMax) throw new RangeError('data are nested too deeply for the audit log')
      text += isList(value) ? '[' : '{'
      frames.push(frameOf(value, shown.secret, shown.clear))
    } else {
      text += shown.clear ? plain(value) : hidden(value, shown.secret, hash)
    }
  }
  return text
}

/** A list under a key in clear is in clear; an object under it is not. */
function frameOf (of: JsonObject | readonly Json[], secret: boolean, clear: boolean): Frame {
  if (isList(of)) return { text: '', secret, clear, of, keys: null, length: of.length, at: 0 }
  const keys = Object.keys(of)
  return { text: '', secret, clear: false, of, keys, length: keys.length, at: 0 }
}

function valueAt ({ of, keys, at }: Frame): Json {
  return (keys === null ? (of as readonly Json[])[at] : (of as JsonObject)[keys[at] ?? '']) ?? null
}

function showKey (key: string, secret: boolean, { hash, names, secretKeys, clearKeys }: Redaction): Shown {
  if (clearKeys.includes(key) && !neverClear.has(key)) return { text: `${quote(key)}:`, secret, clear: true }
  const own = names.has(key)
  return {
    text: `"${own ? key : hash(key)}":`,
    secret: secret || !own || hiddenKeys.has(key) || (secretKeys !== 'all' && secretKeys.has(key)),
    clear: false
  }
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
