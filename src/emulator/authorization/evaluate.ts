import type { PolicyDocument } from './document.ts'

/** Condition keys in lower case, each with its values; a key without values is absent. */
export type RequestContext = ReadonlyMap<string, readonly string[]>

/** What the policy of the resource (for AssumeRole: the trust) says; see `judgeTrust`. */
export interface ResourceGrant {
  readonly effect: 'allow' | 'deny' | 'none'
  /** The closest way in which an allowing statement names the caller. */
  readonly names: 'session' | 'user' | 'role' | 'account' | 'other' | null
}

export interface DecisionRequest {
  readonly action: string
  readonly resource: string
  readonly context: RequestContext
  readonly identity: readonly PolicyDocument[]
  /** null: the principal has no boundary. */
  readonly boundary: readonly PolicyDocument[] | null
  /** null: not a session, or a session without session policies. */
  readonly session: readonly PolicyDocument[] | null
  /** Leave out for actions whose resource has no policy. `sameAccount`: caller's and resource's. */
  readonly resourcePolicy?: ResourceGrant & { readonly sameAccount: boolean }
}

export interface Decision {
  readonly allowed: boolean
  readonly explicitDenyBy: 'identity' | 'boundary' | 'session' | 'resource' | null
  /** The first kind of policy that does not allow; null when allowed or explicitly denied. */
  readonly missing: 'identity' | 'boundary' | 'session' | 'resource' | null
}

/** Whether the policies allow the request. Pure. */
export function decide (_request: DecisionRequest): Decision {
  return { allowed: false, explicitDenyBy: null, missing: 'identity' }
}
