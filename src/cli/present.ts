import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { showHidden } from './screen.ts'

/** JSON for people and programs, in which no hidden character stands as itself. */
export function jsonText (value: Json): string {
  return `${showHidden(JSON.stringify(value, null, 2), { keepLines: true })}\n`
}

/** Names and values, one a line, for people. */
export function tableText (value: JsonObject): string {
  const names = Object.keys(value)
  const width = Math.max(0, ...names.map((name) => showHidden(name).length)) + 2
  return Object.entries(value)
    .map(([name, each]) => `${showHidden(name).padEnd(width)}${showHidden(plainText(each))}\n`).join('')
}

/** A value as its own text, and lists and objects as JSON. */
export function plainText (value: Json): string {
  if (typeof value === 'string') return value
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value.join(', ')
  return JSON.stringify(value)
}

/** Of a versioned secret its own fields, beside which its version stands in the answer. */
export function secretOf (part: JsonObject | null): JsonObject {
  const { data, metadata } = part ?? {}
  return isJsonObject(data) && isJsonObject(metadata) && Object.keys(part ?? {}).length === 2 ? data : part ?? {}
}
