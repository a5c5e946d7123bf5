import type { PolicyDocument } from './document.ts'
import type { RequestContext, ResourceGrant } from './evaluate.ts'

/** Who calls, as a trust policy sees it. */
export interface PrincipalView {
  readonly kind: 'user' | 'role-session' | 'root' | 'federated-user' | 'web-identity' | 'service'
  /** Empty for web identities and services, which live in no account. */
  readonly accountId: string
  /** The user's, session's or root's ARN; a service's name (`ec2.amazonaws.com`). */
  readonly arn: string
  /** role-session: the role, with its path. */
  readonly roleArn?: string
  /** user: AIDA…; role-session: the role's AROA…, without the session's name. */
  readonly uniqueId?: string
  /** web-identity: the provider's ARN, or the host of one that is built in. */
  readonly providerArn?: string
}

export interface TrustRequest {
  readonly action: string
  readonly document: PolicyDocument
  readonly principal: PrincipalView
  readonly context: RequestContext
}

/** The trust's verdict with the way in which it names the caller, for `decide`'s resourcePolicy. */
export function judgeTrust (_request: TrustRequest): ResourceGrant {
  return { effect: 'none', names: null }
}

/** What a trust policy by itself says. An explicit deny wins. */
export function decideTrust (request: TrustRequest): 'allow' | 'deny' | 'none' {
  return judgeTrust(request).effect
}

/** Whether an Allow statement names the user, role or session itself and not its account or everyone. */
export function namesPrincipalDirectly (_document: PolicyDocument, _principal: PrincipalView): boolean {
  return false
}

/**
 * The document as it is to be stored: users and roles by unique id. `lookup` is asked for every
 * user and role ARN; null throws PolicyError `Invalid principal in policy: "AWS":"…"`.
 */
export function resolvePrincipals (
  document: PolicyDocument, _lookup: (arn: string) => string | null
): PolicyDocument {
  return document
}

/** The stored document as JSON text. `lookup` turns a unique id into its ARN; null shows the bare id. */
export function renderDocument (
  _document: PolicyDocument, _lookup: (uniqueId: string) => string | null
): string {
  return ''
}
