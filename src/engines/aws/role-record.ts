import type { JsonObject } from '../../core/json.ts'

/** Kinds of credentials a role can stand for. */
export const credentialTypes = ['assumed_role', 'federation_token', 'session_token', 'iam_user'] as const

export type CredentialType = typeof credentialTypes[number]

/** A role as it is stored. Texts are empty and TTLs 0 where nothing is set. */
export interface Role {
  readonly credentialType: CredentialType
  readonly roleArns: readonly string[]
  readonly policyArns: readonly string[]
  /** JSON without blanks between its parts. */
  readonly policyDocument: string
  readonly iamGroups: readonly string[]
  readonly iamTags: Readonly<Record<string, string>>
  readonly sessionTags: Readonly<Record<string, string>>
  readonly externalId: string
  readonly mfaSerialNumber: string
  readonly ttlSeconds: number
  readonly ttlSecondsMax: number
  readonly userPath: string
  readonly permissionsBoundaryArn: string
  /** Whether callers may name their session themselves. */
  readonly allowRoleSessionName: boolean
  /** What the session's source identity says; empty: none is set. */
  readonly sourceIdentity: string
}

/** A role before its first write. Its credential type is checked by `checkRole`. */
export const emptyRole: Omit<Role, 'credentialType'> = {
  roleArns: [],
  policyArns: [],
  policyDocument: '',
  iamGroups: [],
  iamTags: {},
  sessionTags: {},
  externalId: '',
  mfaSerialNumber: '',
  ttlSeconds: 0,
  ttlSecondsMax: 0,
  userPath: '',
  permissionsBoundaryArn: '',
  allowRoleSessionName: true,
  sourceIdentity: ''
}

/** Where a role is kept, relative to its mount. */
export function rolePath (name: string): string {
  return `role/${name}`
}

/** What a read answers (contract 6.4). Fields that are ours alone show only where they are used. */
export function roleData (role: Role): JsonObject {
  return {
    credential_type: role.credentialType,
    role_arns: listOrNull(role.roleArns),
    policy_arns: listOrNull(role.policyArns),
    policy_document: role.policyDocument,
    iam_groups: listOrNull(role.iamGroups),
    iam_tags: mapOrNull(role.iamTags),
    default_sts_ttl: role.ttlSeconds,
    max_sts_ttl: role.ttlSecondsMax,
    user_path: role.userPath,
    permissions_boundary_arn: role.permissionsBoundaryArn,
    session_tags: mapOrNull(role.sessionTags),
    external_id: role.externalId,
    mfa_serial_number: role.mfaSerialNumber,
    ...(!role.allowRoleSessionName && { allow_role_session_name: false }),
    ...(role.sourceIdentity !== '' && { source_identity: role.sourceIdentity })
  }
}

function listOrNull (items: readonly string[]) {
  return items.length === 0 ? null : items
}

function mapOrNull (map: Readonly<Record<string, string>>) {
  return Object.keys(map).length === 0 ? null : map
}
