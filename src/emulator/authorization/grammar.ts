import { PolicyError } from './policy-error.ts'

/** What a document may contain: a permissions policy or boundary, a role's trust, a session policy. */
export type PolicyKind = 'identity' | 'trust' | 'session'

/**
 * AWS has two parsers with words of their own: IAM's for permissions policies, and the one that
 * reads trust and session policies and names the field.
 */
export function refuse (kind: PolicyKind, named: string): never {
  throw new PolicyError(kind === 'identity' ? 'Syntax errors in policy.' : named)
}

/** A JSON object, or null. */
export function findObject (value: unknown): Readonly<Record<string, unknown>> | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  return value as Readonly<Record<string, unknown>>
}

/** One string or an array of strings, as an array; anything else is null. */
export function findStrings (value: unknown): readonly string[] | null {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  const strings = list.filter((item) => typeof item === 'string')
  return strings.length === list.length ? strings : null
}
