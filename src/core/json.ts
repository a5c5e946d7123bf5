/** A JSON value as `JSON.parse` gives it. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject

/** A JSON object. Read it only by own keys: names such as `constructor` come from callers. */
export interface JsonObject { readonly [key: string]: Json }

/** Whether a JSON value is an object, and neither null nor a list. */
export function isJsonObject (value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The text of a number; absent for other values. */
interface NumberSource { readonly source?: string }

/** What ES2025 and V8 give JSON beyond the types of this compiler: a number's own text, in and out. */
interface ExactJson {
  rawJSON (text: string): unknown
  isRawJSON (value: unknown): boolean
  parse (text: string, revive: (name: string, value: unknown, context: NumberSource) => unknown): unknown
}

function isExactJson (value: object): value is ExactJson {
  return 'rawJSON' in value
}

const exactJson: object = JSON

/** Numbers that may not come back as they were written: of 16 digits or more, with a fraction or exponent, or -0. */
const changeable = /\d{16}|\d[.eE]|-0/

/**
 * Reads JSON so that `JSON.stringify` writes every number with the digits it came with
 * (contract 0.7): `9007199254740993` and `1.10` stay what they are. A number that would change is
 * held by an object that only `JSON.stringify` understands, so pass such values on unread.
 *
 * @throws SyntaxError where the text is not JSON.
 */
export function parseExact (text: string): Json {
  if (!changeable.test(text)) return JSON.parse(text) as Json
  const json = exact()
  return json.parse(text, (_name, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? json.rawJSON(source) : value) as Json
}

/** Whether a value is such an object: one number, though it looks like an object with members. */
export function isKeptNumber (value: Json): boolean {
  return typeof value === 'object' && value !== null && exact().isRawJSON(value)
}

function exact (): ExactJson {
  if (!isExactJson(exactJson)) throw new Error('this engine cannot keep the digits of numbers')
  return exactJson
}
