import type { Capability } from '../core/backend.ts'
import type { Json } from '../core/json.ts'

/** Bits of a rule's capabilities. */
export const capabilityBits = {
  create: 1, read: 2, update: 4, delete: 8, list: 16, patch: 32, sudo: 64, scan: 128, deny: 256
} as const satisfies Readonly<Record<Capability | 'deny', number>>

/** Names of parameters, in lower case, and the values listed for each; an empty list stands for any value. */
export type ParameterValues = ReadonlyMap<string, readonly Json[]>

/** Which paths a rule is about (contract 4.2). */
export interface Pattern {
  readonly kind: 'exact' | 'prefix' | 'segments'
  /** Without the `*` at its end. */
  readonly text: string
  /** Whether it ended in `*`. */
  readonly open: boolean
  /** The text before the first wildcard: every path that matches begins with it. */
  readonly anchor: string
  /** Of `segments` only; `+` stands for any one. */
  readonly segments: readonly string[]
}

/** One stanza of a policy. Seconds; 0 stands for "not set". */
export interface Rule {
  readonly pattern: Pattern
  /** Of `capabilityBits`; `deny` stands alone. */
  readonly capabilities: number
  readonly minWrappingTtlSeconds: number
  readonly maxWrappingTtlSeconds: number
  readonly allowedParameters: ParameterValues | null
  readonly deniedParameters: ParameterValues | null
  readonly requiredParameters: readonly string[]
  /** From this instant on the rule is as if it were not written; null: always. */
  readonly expiresAtMs: number | null
  /** Whether its path holds an identity template. Without identities it never has a value, so the rule grants nothing. */
  readonly templated: boolean
}

/** A policy as an ACL is built from it. */
export interface NamedRules {
  readonly name: string
  readonly rules: readonly Rule[]
  /** Whether the whole policy ends at some time. */
  readonly expires?: boolean
}

/** What an ACL answers. `grantedBy`: the policies that grant the operation, sorted, for the audit entry. */
export interface AclVerdict {
  readonly allowed: boolean
  /** Whether the rule also has `sudo`, which root-protected operations need on top. */
  readonly sudo: boolean
  readonly grantedBy: readonly string[]
}

/**
 * Compiles a path of a policy (contract 4.2).
 *
 * @throws RangeError with a public cause for `+*` and for a pattern that is empty.
 */
export function compilePattern (raw: string): Pattern {
  const pattern = raw.startsWith('/') ? raw.slice(1) : raw
  if (pattern === '') throw new RangeError('the path is empty')
  if (pattern.includes('+*')) throw new RangeError('invalid use of wildcards (\'+*\' is forbidden)')
  const open = pattern.endsWith('*')
  const text = open ? pattern.slice(0, -1) : pattern
  if (pattern === '+' || pattern.includes('/+') || pattern.startsWith('+/')) {
    return { kind: 'segments', text, open, anchor: text.slice(0, text.indexOf('+')), segments: text.split('/') }
  }
  return { kind: open ? 'prefix' : 'exact', text, open, anchor: text, segments: [] }
}
