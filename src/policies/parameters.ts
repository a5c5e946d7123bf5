import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import type { ParameterValues } from './rule.ts'

/** What a merged rule says about a request's parameters. */
export interface ParameterRules {
  readonly allowedParameters: ParameterValues | null
  readonly deniedParameters: ParameterValues | null
  readonly requiredParameters: readonly string[]
}

/**
 * Whether a request's parameters satisfy a rule (contract 4.4, step 3). Only the top level is looked
 * at. What is required must be there and not null, which operations read as absent. What is denied
 * is denied in every spelling that an operation may take for it (SEC-025): its name in any case,
 * its value in a list, in a comma text, or as a number or boolean where the policy has a text.
 */
export function parametersAllowed (rules: ParameterRules, data: JsonObject | null): boolean {
  for (const name of rules.requiredParameters) {
    if (data === null || !Object.hasOwn(data, name) || data[name] === null) return false
  }
  if (data === null) return true
  const names = Object.keys(data)
  if (names.length === 0) return true
  return !isDenied(rules.deniedParameters, data, names) && isAllowed(rules.allowedParameters, data, names)
}

function isDenied (denied: ParameterValues | null, data: JsonObject, names: readonly string[]): boolean {
  if (denied === null) return false
  if (denied.has('*')) return true
  return names.some((name) => {
    const values = denied.get(name.toLowerCase())
    if (values === undefined) return false
    return values.length === 0 || containsDenied(values, data[name] ?? null)
  })
}

function isAllowed (allowed: ParameterValues | null, data: JsonObject, names: readonly string[]): boolean {
  if (allowed === null) return true
  const others = allowed.has('*')
  if (others && allowed.size === 1) return true
  return names.every((name) => {
    const values = allowed.get(name)
    if (values === undefined) return others
    return values.length === 0 || values.some((value) => matches(value, data[name] ?? null))
  })
}

/** Texts by glob, numbers numerically, all else by deep equality. */
function matches (value: Json, sent: Json): boolean {
  return typeof value === 'string' && typeof sent === 'string' ? fitsGlob(value, sent) : equal(value, sent)
}

/** A value, or one that it holds at any depth, that a policy denies. Takes an explicit stack. */
function containsDenied (values: readonly Json[], sent: Json): boolean {
  const open: Json[] = [sent]
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const value = at
    if (values.some((denied) => matches(denied, value) || matchesAsText(denied, value))) return true
    if (Array.isArray(value)) open.push(...value)
    else if (isJsonObject(value)) open.push(...Object.values(value))
  }
  return false
}

function matchesAsText (denied: Json, sent: Json): boolean {
  if (denied === null || sent === null || typeof denied === 'object' || typeof sent === 'object') return false
  const pattern = String(denied)
  return String(sent).split(',').some((part) => fitsGlob(pattern, part.trim()))
}

/** Whether a text fits one that may begin and end with `*`; case counts. */
function fitsGlob (pattern: string, text: string): boolean {
  const fromStart = pattern.startsWith('*')
  const toEnd = pattern.length > 1 && pattern.endsWith('*')
  const literal = pattern.slice(fromStart ? 1 : 0, toEnd ? -1 : undefined)
  if (fromStart && toEnd) return text.includes(literal)
  if (fromStart) return text.endsWith(literal)
  return toEnd ? text.startsWith(literal) : text === literal
}

/** Deep equality of JSON values; bounded by the depth of the policy's own value. */
function equal (a: Json, b: Json): boolean {
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((value, n) => equal(value, b[n] ?? null))
  }
  if (!isJsonObject(a)) return a === b
  if (!isJsonObject(b)) return false
  const names = Object.keys(a)
  return names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && equal(a[name] ?? null, b[name] ?? null))
}
