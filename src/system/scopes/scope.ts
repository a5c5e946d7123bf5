import { BrokerError, invalidRequest } from '../../core/errors.ts'
import { foldPolicyName } from '../../core/policy-name.ts'
import type { RotationSettings } from '../../core/model.ts'

/** What a policy may grant in a scope; `sudo` is nobody's to hand on. */
export const grantable = ['create', 'read', 'update', 'patch', 'delete', 'list'] as const
export type Grantable = typeof grantable[number]

/** A mount of a scope's own. */
export interface ScopeMount {
  readonly path: string
  readonly version: '1' | '2'
  readonly description: string
  /** What the scope's tokens may do with its keys. */
  readonly capabilities: readonly Grantable[]
  /** null: it is reached by its own path. */
  readonly rotation: RotationSettings | null
}

/** A right on something that is not the scope's own. */
export interface Grant {
  readonly path: string
  readonly capabilities: readonly Grantable[]
}

/** How logins go, in the words of AppRole. Seconds; 0 means "not set". */
export interface RoleTerms {
  readonly token_ttl: number
  readonly token_max_ttl: number
  readonly token_bound_cidrs: string[]
  /** Whose maker has not the policy `default`. */
  readonly token_no_default_policy?: true
  readonly secret_id_ttl: number
  readonly secret_id_num_uses: number
  readonly secret_id_bound_cidrs: string[]
}

/** What a scope shall hold. Made in one order of its parts, so that equal plans are equal texts. */
export interface ScopePlan {
  /** Path of the AppRole mount, without `auth/`. */
  readonly auth: string
  readonly mounts: readonly ScopeMount[]
  readonly grants: readonly Grant[]
  readonly role: RoleTerms
  /** Of the first secret_id, as AppRole reads it. */
  readonly metadata: string
}

/** A scope as it is kept, from before its first part is made until its last one is gone. */
export interface Scope {
  /** Drawn for this life of the name; what was made for it bears it. */
  readonly id: string
  readonly name: string
  /** `making` and `removing` come due, and are then taken away by whoever sweeps. */
  readonly state: 'making' | 'made' | 'removing'
  readonly createdAtMs: number
  readonly authAccessor: string
  readonly plan: ScopePlan
}

const nameLengthMax = 64
const nameForm = /^[a-z0-9](?:[a-z0-9_.-]*[a-z0-9_])?$/

/**
 * A scope's name as it was sent: rights are judged by it, so it is not folded.
 *
 * @throws BrokerError `invalid_request`
 */
export function readScopeName (raw: string | undefined): string {
  const name = raw ?? ''
  if (name.length <= nameLengthMax && nameForm.test(name) && foldPolicyName(name) === name) return name
  throw invalidRequest(`a scope's name is made of lower-case letters, digits, ".", "_" and "-", at most ${nameLengthMax}, and begins and ends with a letter or digit`)
}

/** The name of its role, which only one scope can have. */
export function roleOf ({ id, name }: Pick<Scope, 'id' | 'name'>) {
  return { name: roleNameOf(name), incarnation: id }
}

export function roleNameOf (name: string): string {
  return `scope-${name}`
}

/** The name of its policy. It is no later scope's, so that a token that outlives the scope gets nothing of the next. */
export function policyNameOf ({ id, name }: Pick<Scope, 'id' | 'name'>): string {
  return `scope-${name}-${id.slice(0, 8)}`
}

/** Somebody else is at it. */
export function underWay ({ state }: Pick<Scope, 'state'>): BrokerError {
  return invalidRequest(`the scope is being ${state === 'removing' ? 'removed' : 'made'}: try again in a moment`)
}
