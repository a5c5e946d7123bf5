import { DurationError, parseSeconds } from '../core/duration.ts'
import { invalidRequest } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import { lineAt, SyntaxProblem } from './hcl-scanner.ts'
import { parseHcl, type Item, type Node } from './hcl.ts'
import { capabilityBits, compilePattern, type ParameterValues, type Pattern, type Rule } from './rule.ts'

/** Longest policy text, in bytes as JSON, so that its record fits a commit of the store. */
export const policyBytesMax = 900_000

const bits: Readonly<Record<string, number>> = capabilityBits
const { create, read, update, list, sudo, deny } = capabilityBits
const write = create | read | update | capabilityBits.delete | list
const olderPolicies: Readonly<Record<string, number>> = { deny, read: read | list, write, sudo: write | sudo }

/** Keys that would restrict a rule in ways that are not built: to ignore them would widen access. */
const unsupportedKeys = new Set(['pagination_limit', 'list_scan_response_keys_filter_path', 'control_group'])

/** What is wrong with a policy; its message is public. */
class PolicyProblem extends Error {
  override readonly name = 'PolicyProblem'
}

/**
 * The rules of a policy text in HCL or JSON (contract 4.1), in their order. Unknown keys are
 * refused: a misspelt `denied_parameters` would widen access in silence.
 *
 * @throws BrokerError `invalid_request`, `failed to parse policy: <problem>`.
 */
export function parsePolicy (text: string): readonly Rule[] {
  try {
    if (Buffer.byteLength(JSON.stringify(text)) > policyBytesMax) throw new PolicyProblem(`the text is longer than ${policyBytesMax} bytes`)
    const first = text.trimStart()
    if (first.startsWith('[')) throw new PolicyProblem('does not contain a root object')
    const items = parseHcl(text)
    if (first.startsWith('{')) assertJson(text)
    return readRoot(text, items)
  } catch (error) {
    if (error instanceof PolicyProblem || error instanceof SyntaxProblem) {
      throw invalidRequest(`failed to parse policy: ${error.message}`, error)
    }
    throw error
  }
}

/** The HCL parser is looser than JSON (bare keys, `=`), so a text that says it is JSON must be. */
function assertJson (text: string): void {
  try {
    JSON.parse(text)
  } catch {
    throw new PolicyProblem('invalid JSON')
  }
}

function readRoot (text: string, items: readonly Item[]): Rule[] {
  const rules: Rule[] = []
  for (const { key, labels, value, offset } of items) {
    const fail: Fail = (problem) => { throw new PolicyProblem(`line ${lineAt(text, offset)}: ${problem}`) }
    if (key === 'name') continue
    if (key !== 'path') fail(`unknown key ${quote(key)}`)
    if (labels.length > 1) fail('a path has one pattern')
    const [pattern] = labels
    if (pattern !== undefined) {
      for (const stanza of readObjects(value, fail)) rules.push(readStanza(text, pattern, stanza))
      continue
    }
    for (const path of readObjects(value, fail).flat()) {
      if (path.labels.length > 0) fail('a path has one pattern')
      for (const stanza of readObjects(path.value, fail)) rules.push(readStanza(text, path.key, stanza))
    }
  }
  return rules
}

type Fail = (problem: string) => never

/** The items of an object, or of each object in a list: HCL's convention for JSON. */
function readObjects (node: Node, fail: Fail): (readonly Item[])[] {
  if (node.type === 'object') return [node.items]
  return node.type === 'list' ? node.nodes.flatMap((each) => readObjects(each, fail)) : fail('expected a block')
}

function readStanza (text: string, raw: string, items: readonly Item[]): Rule {
  const fail: Fail = (problem) => { throw new PolicyProblem(`path ${quote(raw)}: ${problem}`) }
  const values = new Map<string, readonly Node[]>()
  for (const { key, labels, value, offset } of items) {
    if (unsupportedKeys.has(key)) fail(`line ${lineAt(text, offset)}: ${quote(key)} is not supported`)
    if (!stanzaKeys.has(key) || labels.length > 0) {
      fail(`line ${lineAt(text, offset)}: unknown key ${quote([key, ...labels].join(' '))}`)
    }
    values.set(key, mapKeys.has(key) ? [...values.get(key) ?? [], value] : [value])
  }
  return readRule(raw, (key) => values.get(key) ?? [], fail)
}

const mapKeys = new Set(['allowed_parameters', 'denied_parameters'])
const stanzaKeys = new Set([
  ...mapKeys, 'capabilities', 'policy', 'required_parameters', 'min_wrapping_ttl', 'max_wrapping_ttl',
  'comment', 'expiration', 'mfa_methods'
])

function readRule (raw: string, valuesOf: (key: string) => readonly Node[], fail: Fail): Rule {
  const one = (key: string): Node | undefined => valuesOf(key)[0]
  const minWrappingTtlSeconds = readDuration('min_wrapping_ttl', one('min_wrapping_ttl'), fail)
  const maxWrappingTtlSeconds = readDuration('max_wrapping_ttl', one('max_wrapping_ttl'), fail)
  if (maxWrappingTtlSeconds > 0 && maxWrappingTtlSeconds < minWrappingTtlSeconds) {
    fail('max_wrapping_ttl cannot be less than min_wrapping_ttl')
  }
  return {
    templated: isTemplated(raw),
    pattern: readPattern(raw, fail),
    capabilities: readCapabilities(one('capabilities'), one('policy'), fail),
    minWrappingTtlSeconds,
    maxWrappingTtlSeconds,
    allowedParameters: readParameters('allowed_parameters', valuesOf('allowed_parameters'), fail),
    deniedParameters: readParameters('denied_parameters', valuesOf('denied_parameters'), fail),
    requiredParameters: readTexts('required_parameters', one('required_parameters'), fail)
      .map((name) => name.toLowerCase()),
    expiresAtMs: readExpiration(one('expiration'), fail)
  }
}

function readPattern (raw: string, fail: Fail): Pattern {
  try {
    return compilePattern(raw)
  } catch (error) {
    if (error instanceof RangeError) fail(error.message)
    throw error
  }
}

/** Whether a path holds templates (contract 4.7). @throws PolicyProblem where their braces do not pair. */
function isTemplated (raw: string): boolean {
  const rest = raw.replace(/\{\{([^{}]*)\}\}/g, (whole, name: string) => name.trim() === '' ? whole : '')
  if (rest.includes('{{') || rest.includes('}}')) {
    throw new PolicyProblem('failed to validate policy templating: unbalanced templating characters')
  }
  return rest !== raw
}

function readCapabilities (words: Node | undefined, older: Node | undefined, fail: Fail): number {
  let capabilities = 0
  for (const word of readTexts('capabilities', words, fail)) {
    capabilities |= bitsOf(bits, word) ?? fail(`invalid capability ${quote(word)}`)
  }
  if (older !== undefined) {
    const word = older.type === 'scalar' ? String(older.value) : ''
    capabilities |= bitsOf(olderPolicies, word) ?? fail(`invalid policy ${quote(word)}`)
  }
  return (capabilities & deny) !== 0 ? deny : capabilities
}

function bitsOf (table: Readonly<Record<string, number>>, word: string): number | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined
}

/** Texts of a list; one text alone is a list of one, as HCL has it. */
function readTexts (key: string, node: Node | undefined, fail: Fail): string[] {
  if (node === undefined) return []
  const nodes = node.type === 'list' ? node.nodes : [node]
  return nodes.map((each) => each.type === 'scalar' && typeof each.value === 'string'
    ? each.value
    : fail(`${key} must be a list of strings`))
}

function readParameters (key: string, nodes: readonly Node[], fail: Fail): ParameterValues | null {
  const parameters = new Map<string, readonly Json[]>()
  for (const { key: name, labels, value } of nodes.flatMap((node) => readObjects(node, fail)).flat()) {
    if (labels.length > 0) fail(`${key} must hold lists`)
    parameters.set(name.toLowerCase(), (value.type === 'list' ? value.nodes : [value]).map(toJson))
  }
  return parameters.size === 0 ? null : parameters
}

function toJson (node: Node): Json {
  if (node.type === 'scalar') return node.value
  if (node.type === 'list') return node.nodes.map(toJson)
  const object: Record<string, Json> = Object.create(null)
  for (const { key, value } of node.items) object[key] = toJson(value)
  return object
}

function readDuration (key: string, node: Node | undefined, fail: Fail): number {
  if (node === undefined) return 0
  try {
    return parseSeconds(node.type === 'scalar' ? node.value : node)
  } catch (error) {
    if (error instanceof DurationError) fail(`invalid ${key}: ${error.message}`)
    throw error
  }
}

/** RFC 3339 section 5.6, date-time. */
const dateTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/i

function readExpiration (node: Node | undefined, fail: Fail): number | null {
  if (node === undefined) return null
  const text = node.type === 'scalar' ? String(node.value) : ''
  return parseInstant(text) ?? fail('invalid expiration time: expected an RFC 3339 time')
}

/** Epoch milliseconds of an RFC 3339 time; null for any other text. */
export function parseInstant (text: string): number | null {
  const ms = dateTime.test(text) ? Date.parse(text.toUpperCase()) : Number.NaN
  return Number.isNaN(ms) ? null : ms
}

function quote (text: string): string {
  return JSON.stringify(text.length > 256 ? `${text.slice(0, 256)}…` : text)
}
