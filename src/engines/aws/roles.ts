import { operation, type Call, type Operation } from '../../core/backend.ts'
import { unsupportedPath } from '../../core/errors.ts'
import { bool, commaList, duration, text, textMap, type Input } from '../../core/fields.ts'
import { decodeRecord } from '../../core/records.ts'
import { emptyRole, roleData, rolePath, type Role } from './role-record.ts'
import { checkRole, compactPolicy, type RoleDraft } from './role-rules.ts'
import { updateRecord } from './update-record.ts'

const nameForm = /^\w(?:[\w.@-]*\w)?$/
const pageSize = 1000

const name = text('Name of the role')

const writeFields = {
  name,
  credential_type: text('What the role gives: assumed_role, federation_token, session_token or iam_user'),
  role_arns: commaList('Roles of AWS that may be assumed, as exact ARNs'),
  policy_arns: commaList('Managed policies that narrow the session'),
  policy_document: text('A policy in JSON that narrows the session'),
  iam_groups: commaList('IAM groups whose policies apply'),
  iam_tags: textMap('Tags of the IAM users that are made'),
  session_tags: textMap('Tags of the session'),
  external_id: text('External id that the role of AWS asks for'),
  mfa_serial_number: text('Serial number or ARN of the MFA device'),
  default_sts_ttl: duration('TTL of a credential where the caller names none'),
  max_sts_ttl: duration('Longest TTL of a credential'),
  user_path: text('Path of the IAM users that are made'),
  permissions_boundary_arn: text('Permissions boundary of the IAM users that are made'),
  allow_role_session_name: bool('Whether callers may name their session; true unless set'),
  source_identity: text('What the session carries as its source identity: lease_id or run_id; none unless set')
}

/** Checks a role's name, which is part of a path: another form is no path of this engine (contract 6). */
export function checkRoleName (text: string | undefined): string {
  if (text === undefined || !nameForm.test(text)) throw unsupportedPath()
  return text
}

/** `roles` and `roles/<name>` (contract 6.4). */
export function createRoleOperations (): Operation[] {
  return [
    operation({
      verb: 'list', path: 'roles', access: 'capability', summary: 'Lists the roles', fields: {},
      run: async (call) => ({ kind: 'data', data: { keys: await listNames(call) } })
    }),
    operation({
      verb: 'read', path: 'roles/:name', access: 'capability', summary: 'Reads a role', fields: { name },
      async run (call, input) {
        const [entry] = await call.store.get([rolePath(checkRoleName(input.name))])
        return entry ? { kind: 'data', data: roleData(decodeRecord<Role>(entry.value)) } : { kind: 'none' }
      }
    }),
    operation({
      verb: 'write', path: 'roles/:name', access: 'capability', summary: 'Makes a role or changes some of its fields', fields: writeFields,
      async run (call, input) {
        const roleName = checkRoleName(input.name)
        await updateRecord<Role>(call, rolePath(roleName), {
          names: [rolePath(roleName)],
          change: (role) => checkRole(draftOf(role, input))
        })
        return { kind: 'none' }
      }
    }),
    operation({
      verb: 'delete', path: 'roles/:name', access: 'capability', summary: 'Removes a role', fields: { name },
      async run (call, input) {
        await call.store.commit([{ op: 'delete', key: call.store.key(rolePath(checkRoleName(input.name))) }])
        return { kind: 'none' }
      }
    })
  ]
}

/** A stored role with the fields that were sent. */
function draftOf (role: Role | null, input: Input<typeof writeFields>): RoleDraft {
  const base: RoleDraft = role ?? { ...emptyRole, credentialType: '' }
  return {
    credentialType: input.credential_type ?? base.credentialType,
    roleArns: input.role_arns ?? base.roleArns,
    policyArns: input.policy_arns ?? base.policyArns,
    policyDocument: input.policy_document === undefined ? base.policyDocument : compactPolicy(input.policy_document),
    iamGroups: input.iam_groups ?? base.iamGroups,
    iamTags: input.iam_tags ?? base.iamTags,
    sessionTags: input.session_tags ?? base.sessionTags,
    externalId: input.external_id ?? base.externalId,
    mfaSerialNumber: input.mfa_serial_number ?? base.mfaSerialNumber,
    ttlSeconds: input.default_sts_ttl ?? base.ttlSeconds,
    ttlSecondsMax: input.max_sts_ttl ?? base.ttlSecondsMax,
    userPath: input.user_path ?? base.userPath,
    permissionsBoundaryArn: input.permissions_boundary_arn ?? base.permissionsBoundaryArn,
    allowRoleSessionName: input.allow_role_session_name ?? base.allowRoleSessionName,
    sourceIdentity: input.source_identity ?? base.sourceIdentity
  }
}

async function listNames ({ store }: Call): Promise<string[]> {
  const names: string[] = []
  let after: string | undefined
  do {
    const page = await store.list('role/', { limit: pageSize, ...(after !== undefined && { after }) })
    names.push(...page.map((named) => named.name))
    after = page.length === pageSize ? page.at(-1)?.name : undefined
  } while (after !== undefined)
  return names
}
