import { isListing, type Capability } from '../core/backend.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { coversPattern, suffices } from './covering.ts'
import { createMatcher, type Matcher } from './match.ts'
import { compareText, mergeRules, type MergedRule } from './merge.ts'
import { parametersAllowed } from './parameters.ts'
import { capabilityBits, compilePattern, type AclVerdict, type NamedRules, type ParameterValues } from './rule.ts'

/** What an operation asks of an ACL. */
export interface AclQuery {
  /** With the mount's stable path. Of a list or a scan it ends in `/`. */
  readonly path: string
  readonly operation: Exclude<Capability, 'sudo'>
  /** The request's parameters at their top level; null without any. */
  readonly data: JsonObject | null
  /** Asked for by the caller; null where the answer shall not be wrapped. */
  readonly wrapTtlSeconds: number | null
}

/** The merged rules of one token. */
export interface Acl {
  /** Whether the token may do this (contract 4.3 and 4.4). */
  check (query: AclQuery): AclVerdict
  /** Sorted words for a path, `['root']` or `['deny']` (contract 4.9). One slash at its start is dropped. */
  capabilities (path: string): readonly string[]
  /** Whether any capability is granted on a prefix, which ends in `/`, or on something below it. */
  allowsAtOrBelow (prefix: string): boolean
  /**
   * Whether all that a policy's rule for this path could grant is granted here already, under no
   * condition and without an end. Where it is not certain the answer is no.
   *
   * @throws RangeError as `compilePattern`
   */
  covers (path: string, capabilities: readonly Capability[]): boolean
  /** The answer of `sys/internal/ui/resultant-acl` (contract 4.10). */
  resultant (): JsonObject
}

const refused: AclVerdict = { allowed: false, sudo: false, grantedBy: [] }
const rootVerdict: AclVerdict = { allowed: true, sudo: true, grantedBy: ['root'] }
const words = Object.entries(capabilityBits).sort(([a], [b]) => compareText(a, b))

/** The ACL of a token with the policy `root`: everything, sudo included. */
export const rootAcl: Acl = {
  check: () => rootVerdict,
  capabilities: () => ['root'],
  allowsAtOrBelow: () => true,
  covers: () => true,
  resultant: () => ({ root: true })
}

/**
 * Builds the ACL of some policies as they are at `nowMs`. Rules that have expired and those with
 * identity templates take no part.
 */
export function createAcl (policies: readonly NamedRules[], nowMs: number): Acl {
  const merged = mergeRules(policies, nowMs, (pattern) => pattern)
  const matcher = createMatcher(merged)
  const folded = foldedMatcher(policies, merged, nowMs, matcher)

  /** The rule that applies, or null also where a deny of the path in another case applies (SEC-012). */
  function ruleFor (path: string, list: boolean): MergedRule | null {
    const rule = matcher.find(path, list)
    if (rule === null || rule.denied) return null
    if (folded !== null) {
      const foldedPath = fold(path)
      if ((folded !== matcher || foldedPath !== path) && folded.find(foldedPath, list)?.denied === true) return null
    }
    return rule
  }

  return {
    check ({ path, operation, data, wrapTtlSeconds }) {
      const rule = ruleFor(path, isListing(operation))
      if (rule === null || (rule.capabilities & capabilityBits[operation]) === 0) return refused
      if (rule.restricted) {
        if (!wrappingAllowed(rule, wrapTtlSeconds)) return refused
        if (!isListing(operation) && operation !== 'delete' && !parametersAllowed(rule, data)) return refused
      }
      return rule.verdicts[operation] ??= {
        allowed: true,
        sudo: (rule.capabilities & capabilityBits.sudo) !== 0,
        grantedBy: rule.sources.filter((source) => (source.capabilities & capabilityBits[operation]) !== 0)
          .map((source) => source.name)
      }
    },
    capabilities (path) {
      return wordsOf(ruleFor(path.startsWith('/') ? path.slice(1) : path, true))
    },
    allowsAtOrBelow (prefix) {
      return grants(ruleFor(prefix, true)) || merged.some((rule) => grants(rule) && reachesBelow(rule, prefix, matcher))
    },
    covers (path, capabilities) {
      const pattern = compilePattern(path)
      const bits = capabilities.reduce((all, word) => all | capabilityBits[word], 0)
      if (pattern.kind !== 'exact') return coversPattern(merged, pattern, bits, fold)
      const listings = bits & (capabilityBits.list | capabilityBits.scan)
      const others = bits & ~listings
      const listed = pattern.text.endsWith('/') ? pattern.text : `${pattern.text}/`
      return (others === 0 || suffices(ruleFor(pattern.text, false), others)) &&
        (listings === 0 || suffices(ruleFor(listed, true), listings))
    },
    resultant: () => resultant(merged)
  }
}

/**
 * The rules as they are without regard to case, where a deny needs it (SEC-012); null without any
 * deny. Where no pattern has capitals it is the exact matcher itself.
 */
function foldedMatcher (
  policies: readonly NamedRules[], merged: readonly MergedRule[], nowMs: number, exact: Matcher<MergedRule>
): Matcher<MergedRule> | null {
  if (!merged.some((rule) => rule.denied)) return null
  if (merged.every(({ pattern }) => fold(pattern.text) === pattern.text)) return exact
  return createMatcher(mergeRules(policies, nowMs, (pattern) => ({
    ...pattern,
    text: fold(pattern.text),
    anchor: fold(pattern.anchor),
    segments: pattern.segments.map(fold)
  })))
}

/** Lower case. Folds each character for itself, so that a prefix folds to a prefix. */
function fold (text: string): string {
  const lower = text.toLowerCase()
  return /^[\0-\x7f]*$/.test(lower) && lower.length === text.length
    ? lower
    : Array.from(text, (char) => char.toUpperCase().toLowerCase()).join('')
}

function wrappingAllowed (rule: MergedRule, wrapTtlSeconds: number | null): boolean {
  const { minWrappingTtlSeconds: min, maxWrappingTtlSeconds: max } = rule
  if (min === 0 && max === 0) return true
  if (wrapTtlSeconds === null || wrapTtlSeconds <= 0) return false
  return wrapTtlSeconds >= min && (max === 0 || (wrapTtlSeconds <= max && min <= max))
}

function grants (rule: MergedRule | null): boolean {
  return rule !== null && !rule.denied && rule.capabilities !== 0
}

/** Whether a rule may apply to a path below the prefix, of which the best rule for the prefix itself says nothing. */
function reachesBelow ({ pattern }: MergedRule, prefix: string, matcher: Matcher<MergedRule>): boolean {
  if (pattern.anchor.startsWith(prefix)) return true
  if (pattern.kind !== 'segments' || !prefix.startsWith(pattern.anchor)) return false
  const covering = matcher.findWildcard(prefix)
  if (covering !== null && covering.pattern.anchor.length > pattern.anchor.length) return false
  const given = prefix.slice(0, -1).split('/')
  const last = pattern.segments.length - 1
  return given.every((segment, n) => {
    const wanted = pattern.segments[n]
    if (wanted === undefined) return pattern.open
    return wanted === '+' || wanted === segment || (pattern.open && n >= last && segment.startsWith(wanted))
  }) && (pattern.open || last >= given.length)
}

function wordsOf (rule: MergedRule | null): readonly string[] {
  if (rule === null || !grants(rule)) return ['deny']
  return words.filter(([, bit]) => (rule.capabilities & bit) !== 0).map(([word]) => word)
}

function resultant (merged: readonly MergedRule[]): JsonObject {
  const exact: Record<string, Json> = Object.create(null)
  const glob: Record<string, Json> = Object.create(null)
  for (const rule of merged) {
    if (rule.pattern.kind === 'exact') exact[rule.pattern.text] = permissions(rule)
    if (rule.pattern.kind === 'prefix') glob[rule.pattern.text] = permissions(rule)
  }
  return { root: false, exact_paths: exact, glob_paths: glob }
}

function permissions (rule: MergedRule): JsonObject {
  const { minWrappingTtlSeconds: min, maxWrappingTtlSeconds: max, requiredParameters: required } = rule
  return {
    capabilities: wordsOf(rule),
    ...min > 0 ? { min_wrapping_ttl: min } : {},
    ...max > 0 ? { max_wrapping_ttl: max } : {},
    ...rule.allowedParameters === null ? {} : { allowed_parameters: toObject(rule.allowedParameters) },
    ...rule.deniedParameters === null ? {} : { denied_parameters: toObject(rule.deniedParameters) },
    ...required.length === 0 ? {} : { required_parameters: required }
  }
}

function toObject (values: ParameterValues): JsonObject {
  const object: Record<string, Json> = Object.create(null)
  for (const [name, list] of values) object[name] = list
  return object
}
