import { invalidRequest } from '../../core/errors.ts'
import { isJsonObject } from '../../core/json.ts'
import { credentialTypes, type CredentialType, type Role } from './role-record.ts'

/** A role as somebody wants it, whose type may be anything. */
export type RoleDraft = Omit<Role, 'credentialType'> & { readonly credentialType: string }

const userPathForm = /^\/([\x21-\x7F]{0,510}\/)?$/
const externalIdForm = /^[\w+=,.@:/-]{2,1224}$/
const tagForm = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u
const sessionTagsMax = 50

/** What `source_identity` may say: which of our names a session carries through all that it does. */
export const sourceIdentities: readonly string[] = ['lease_id', 'run_id']

/**
 * Tests a role as a whole and names all its faults at once (contract 6.4).
 *
 * @throws BrokerError `invalid_request`
 */
export function checkRole (draft: RoleDraft): Role {
  const { credentialType } = draft
  const faults = isCredentialType(credentialType)
    ? [...typeFaults(draft), ...ownFaults(draft)]
    : [credentialType === '' ? 'did not supply credential_type' : `unrecognized credential type: ${credentialType}`]
  if (faults.length > 0 || !isCredentialType(credentialType)) {
    throw invalidRequest(`error(s) validating supplied role data: ${JSON.stringify(listOf(faults))}`)
  }
  return { ...draft, credentialType }
}

function isCredentialType (text: string): text is CredentialType {
  return credentialTypes.some((type) => type === text)
}

/** The texts that the contract gives, in its order. */
function typeFaults (draft: RoleDraft): string[] {
  const type = draft.credentialType
  const faults: string[] = []
  const refuse = (when: boolean, text: string) => { if (when) faults.push(text) }
  const sts = 'only valid for assumed_role, federation_token, and session_token credential types'
  refuse(type === 'iam_user' && draft.ttlSeconds > 0, `default_sts_ttl parameter ${sts}`)
  refuse(type === 'iam_user' && draft.ttlSecondsMax > 0, `max_sts_ttl parameter ${sts}`)
  refuse(draft.ttlSecondsMax > 0 && draft.ttlSeconds > draft.ttlSecondsMax, '"default_sts_ttl" value must be less than or equal to "max_sts_ttl" value')
  refuse(type !== 'iam_user' && draft.userPath !== '', 'user_path parameter only valid for iam_user credential type')
  refuse(type === 'iam_user' && draft.userPath !== '' && !userPathForm.test(draft.userPath),
    `The specified value for user_path is invalid. It must match ${userPathForm.source} regexp`)
  refuse(type !== 'iam_user' && draft.permissionsBoundaryArn !== '', 'cannot supply permissions_boundary_arn when credential_type isn\'t iam_user')
  refuse(type !== 'assumed_role' && draft.roleArns.length > 0, 'cannot supply role_arns when credential_type isn\'t assumed_role')
  refuse(type !== 'assumed_role' && Object.keys(draft.sessionTags).length > 0, 'cannot supply session_tags when credential_type isn\'t assumed_role')
  refuse(type !== 'assumed_role' && draft.externalId !== '', 'cannot supply external_id when credential_type isn\'t assumed_role')
  refuse(type === 'session_token' && (draft.policyDocument !== '' || draft.policyArns.length > 0),
    'cannot supply a policy or role when using credential_type session_token')
  return faults
}

/** Limits of AWS that are better met here than at the first vend, and our own fields. */
function ownFaults (draft: RoleDraft): string[] {
  const type = draft.credentialType
  const faults: string[] = []
  const refuse = (when: boolean, text: string) => { if (when) faults.push(text) }
  const tags = Object.entries(draft.sessionTags)
  refuse(tags.length > sessionTagsMax, `session_tags can hold at most ${sessionTagsMax} tags`)
  refuse(tags.some(([name]) => name === '' || name.length > 128 || !tagForm.test(name) || /^aws:/i.test(name)), 'session_tags holds a name that AWS does not take')
  refuse(tags.some(([, value]) => value.length > 256 || !tagForm.test(value)), 'session_tags holds a value that AWS does not take')
  refuse(new Set(tags.map(([name]) => name.toLowerCase())).size < tags.length, 'session_tags holds names that differ only in case')
  refuse(type === 'assumed_role' && draft.externalId !== '' && !externalIdForm.test(draft.externalId), 'external_id has 2 to 1224 letters, digits and +=,.@:/-_')
  refuse(type !== 'session_token' && draft.mfaSerialNumber !== '', 'cannot supply mfa_serial_number when credential_type isn\'t session_token')
  refuse(type !== 'assumed_role' && draft.sourceIdentity !== '', 'cannot supply source_identity when credential_type isn\'t assumed_role')
  refuse(draft.sourceIdentity !== '' && !sourceIdentities.includes(draft.sourceIdentity), `source_identity must be one of: ${sourceIdentities.join(', ')}`)
  return faults
}

/** Several errors in Go's form, which clients know. */
function listOf (faults: readonly string[]): string {
  return `${faults.length} ${faults.length === 1 ? 'error' : 'errors'} occurred:\n\t* ${faults.join('\n\t* ')}\n\n`
}

/**
 * A session policy as it is stored: the same text without blanks outside strings, so that order,
 * numbers and escapes stay as they were written.
 *
 * @throws BrokerError `invalid_request` where it is not a JSON object.
 */
export function compactPolicy (text: string): string {
  if (text === '') return ''
  try {
    if (isJsonObject(JSON.parse(text))) return text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, (_match, quoted: string | undefined) => quoted ?? '')
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw invalidRequest(`cannot parse policy document: ${JSON.stringify(text)}`)
}
