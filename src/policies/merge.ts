import type { Capability } from '../core/backend.ts'
import { capabilityBits, type AclVerdict, type NamedRules, type ParameterValues, type Pattern, type Rule } from './rule.ts'

/** All stanzas of one pattern together. */
export interface MergedRule {
  readonly pattern: Pattern
  readonly capabilities: number
  readonly denied: boolean
  readonly minWrappingTtlSeconds: number
  readonly maxWrappingTtlSeconds: number
  readonly allowedParameters: ParameterValues | null
  readonly deniedParameters: ParameterValues | null
  readonly requiredParameters: readonly string[]
  /** Whether it says more than its capabilities. */
  readonly restricted: boolean
  /** Whether no part of it ends by itself at some time. */
  readonly lasting: boolean
  /** What each policy adds, sorted by name. */
  readonly sources: readonly { readonly name: string, readonly capabilities: number }[]
  /** The answers for operations that it allows, kept from their first use. */
  readonly verdicts: Partial<Record<Exclude<Capability, 'sudo'>, AclVerdict>>
}

/** Order of texts by their code units. */
export function compareText (a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * Merges stanzas of equal patterns over policies in the order of their names (contract 4.3,
 * Build). `alter` may change the pattern under which a stanza counts.
 */
export function mergeRules (
  policies: readonly NamedRules[], nowMs: number, alter: (pattern: Pattern) => Pattern
): readonly MergedRule[] {
  const merged = new Map<string, MergedRule>()
  for (const { name, rules, expires = false } of policies.toSorted((a, b) => compareText(a.name, b.name))) {
    for (const rule of rules) {
      if (rule.templated || (rule.expiresAtMs !== null && rule.expiresAtMs <= nowMs)) continue
      const pattern = alter(rule.pattern)
      const id = pattern.open ? `${pattern.text}*` : pattern.text
      const added = fromRule(name, pattern, rule, !expires && rule.expiresAtMs === null)
      const existing = merged.get(id)
      merged.set(id, existing === undefined ? added : join(existing, added))
    }
  }
  return [...merged.values()]
}

function fromRule (name: string, pattern: Pattern, rule: Rule, lasting: boolean): MergedRule {
  return {
    pattern,
    capabilities: rule.capabilities,
    denied: (rule.capabilities & capabilityBits.deny) !== 0,
    minWrappingTtlSeconds: rule.minWrappingTtlSeconds,
    maxWrappingTtlSeconds: rule.maxWrappingTtlSeconds,
    allowedParameters: rule.allowedParameters,
    deniedParameters: rule.deniedParameters,
    requiredParameters: rule.requiredParameters,
    restricted: isRestricted(rule),
    lasting,
    sources: [{ name, capabilities: rule.capabilities }],
    verdicts: {}
  }
}

function join (existing: MergedRule, added: MergedRule): MergedRule {
  if (existing.denied) return existing
  if (added.denied) return { ...added, pattern: existing.pattern }
  const joined = {
    pattern: existing.pattern,
    capabilities: existing.capabilities | added.capabilities,
    denied: false,
    minWrappingTtlSeconds: smaller(existing.minWrappingTtlSeconds, added.minWrappingTtlSeconds),
    maxWrappingTtlSeconds: smaller(existing.maxWrappingTtlSeconds, added.maxWrappingTtlSeconds),
    allowedParameters: joinValues(existing.allowedParameters, added.allowedParameters),
    deniedParameters: joinValues(existing.deniedParameters, added.deniedParameters),
    requiredParameters: [...new Set([...existing.requiredParameters, ...added.requiredParameters])],
    lasting: existing.lasting && added.lasting
  }
  return { ...joined, restricted: isRestricted(joined), sources: joinSources(existing, added), verdicts: {} }
}

function isRestricted (rule: Omit<Rule, 'expiresAtMs' | 'templated' | 'pattern' | 'capabilities'>): boolean {
  return rule.minWrappingTtlSeconds > 0 || rule.maxWrappingTtlSeconds > 0 || rule.allowedParameters !== null ||
    rule.deniedParameters !== null || rule.requiredParameters.length > 0
}

/** The smaller of two values that are set; 0 stands for "not set". */
function smaller (a: number, b: number): number {
  return a === 0 || b === 0 ? a + b : Math.min(a, b)
}

function joinValues (existing: ParameterValues | null, added: ParameterValues | null): ParameterValues | null {
  if (existing === null || added === null) return existing ?? added
  const joined = new Map(existing)
  for (const [name, values] of added) {
    const former = existing.get(name)
    const anyValue = former?.length === 0 || (former !== undefined && values.length === 0)
    joined.set(name, anyValue ? [] : [...former ?? [], ...values])
  }
  return joined
}

function joinSources (existing: MergedRule, added: MergedRule): MergedRule['sources'] {
  const sources = new Map(existing.sources.map((source) => [source.name, source.capabilities]))
  for (const { name, capabilities } of added.sources) sources.set(name, (sources.get(name) ?? 0) | capabilities)
  return Array.from(sources, ([name, capabilities]) => ({ name, capabilities }))
}
