import { operation, type Call, type Operation, type Outcome, type Verb } from '../../core/backend.ts'
import { BrokerError, invalidRequest } from '../../core/errors.ts'
import { commaList, duration, int, strictText, text, type Input } from '../../core/fields.ts'
import { drawUuid } from '../../core/ids.ts'
import { createRoleStore, noSuchRole, parseRoleName, type Mac, type MissingRole } from './role-store.ts'
import type { Role } from './role.ts'
import { roleFields } from './role-input.ts'
import { checkCustomSecretId, secretIdData, secretIdKey, secretIdsPrefix, type SecretId } from './secret-id.ts'
import type { MakeSecretId } from './secret-id-maker.ts'
import type { Owner, SecretIdStore } from './secret-id-store.ts'

const { name } = roleFields
const termFields = {
  name,
  metadata: text('Metadata of the tokens: a JSON object of texts as text, also in base64, or name=text pairs'),
  cidr_list: commaList('Blocks that logins with it must come from'),
  token_bound_cidrs: commaList('Blocks that its tokens may be used from'),
  num_uses: int('Logins it is good for; 0 is unlimited'),
  ttl: duration('How long it lives; 0 is for ever')
}
const listFields = {
  name,
  after: text('Accessors after this one'),
  limit: int('Most accessors to answer; all where it is not above 0')
}
const chosen = strictText('A secret_id')
const bySecretId = { name, secret_id: chosen }
const byAccessor = { name, secret_id_accessor: strictText('The accessor of a secret_id') }

export interface SecretIdOptions {
  readonly secretIds: SecretIdStore
  readonly makeSecretId: MakeSecretId
  readonly mac: Mac
}

/** Secret_ids of a role: make, list, look up, destroy (contract 2.3). */
export function createSecretIdOperations ({ secretIds, makeSecretId, mac }: SecretIdOptions): Operation[] {
  /** The role that a path names; clients tell "gone" by the status and text where it is not there. */
  async function roleOf (call: Call, rawName: string | undefined, missing: MissingRole): Promise<Role> {
    const roleName = parseRoleName(rawName)
    const role = await createRoleStore(call.store, mac, call.mount.accessor).find(roleName)
    if (role === null) throw noSuchRole(missing, roleName)
    return role
  }

  function ownerOf (call: Call, role: Role): Owner {
    return { mountAccessor: call.mount.accessor, incarnation: role.incarnation }
  }

  async function make (call: Call, role: Role, secretId: string, input: Input<typeof termFields>): Promise<Outcome> {
    const { accessor, record } = await makeSecretId(call, role, secretId, {
      metadata: input.metadata,
      cidrList: input.cidr_list ?? [],
      tokenBoundCidrs: input.token_bound_cidrs ?? [],
      numUses: input.num_uses,
      ttlSeconds: input.ttl
    })
    return {
      kind: 'data',
      data: {
        secret_id: secretId,
        secret_id_accessor: accessor,
        secret_id_ttl: record.ttlSeconds,
        secret_id_num_uses: record.numUses
      },
      wrappedAccessor: accessor
    }
  }

  function findSecretId (call: Call, role: Role, secretId: string): Promise<SecretId | null> {
    const owner = ownerOf(call, role)
    return secretIds.find(owner, secretIds.accessorOf(owner, secretId), call.nowMs)
  }

  async function destroySecretId (call: Call, input: Input<typeof bySecretId>): Promise<Outcome> {
    const secretId = required('secret_id', input.secret_id)
    const role = await roleOf(call, input.name, 'failed')
    const found = await findSecretId(call, role, secretId)
    if (found !== null) await secretIds.remove([{ key: secretIdKey(found.accessor) }])
    return { kind: 'none' }
  }

  async function destroyAccessor (call: Call, input: Input<typeof byAccessor>): Promise<Outcome> {
    const accessor = required('secret_id_accessor', input.secret_id_accessor)
    const role = await roleOf(call, input.name, 'failed')
    const found = await secretIds.find(ownerOf(call, role), accessor, call.nowMs)
    if (found === null) throw invalidRequest(unknownAccessor(accessor))
    await secretIds.remove([{ key: secretIdKey(accessor) }])
    return { kind: 'none' }
  }

  const destroyVerbs: readonly Verb[] = ['write', 'delete']
  return [
    operation({
      verb: 'write',
      path: 'role/:name/secret-id',
      access: 'capability',
      summary: 'Makes a secret_id, which is shown this once.',
      fields: termFields,
      run: async (call, input) => make(call, await roleOf(call, input.name, 'not_found'), drawUuid(), input)
    }),
    operation({
      verb: 'write',
      path: 'role/:name/custom-secret-id',
      access: 'capability',
      summary: 'Registers a secret_id of the caller\'s choice.',
      fields: { ...termFields, secret_id: chosen },
      async run (call, input) {
        const secretId = checkCustomSecretId(required('secret_id', input.secret_id))
        return make(call, await roleOf(call, input.name, 'not_found'), secretId, input)
      }
    }),
    operation({
      verb: 'list',
      path: 'role/:name/secret-id',
      access: 'capability',
      summary: 'Lists the accessors of the secret_ids.',
      fields: listFields,
      async run (call, input) {
        const role = await roleOf(call, input.name, 'invalid_request')
        const prefix = secretIdsPrefix(call.mount.accessor, role.incarnation)
        const keys = await secretIds.list(prefix, { after: input.after, limit: input.limit }, call.nowMs)
        return { kind: 'data', data: { keys } }
      }
    }),
    operation({
      verb: 'write',
      path: 'role/:name/secret-id/lookup',
      access: 'capability',
      summary: 'Looks a secret_id up.',
      fields: bySecretId,
      async run (call, input) {
        const secretId = required('secret_id', input.secret_id)
        const role = await roleOf(call, input.name, 'failed')
        const found = await findSecretId(call, role, secretId)
        return found === null ? { kind: 'none' } : { kind: 'data', data: secretIdData(found) }
      }
    }),
    operation({
      verb: 'write',
      path: 'role/:name/secret-id-accessor/lookup',
      access: 'capability',
      summary: 'Looks a secret_id up by its accessor.',
      fields: byAccessor,
      async run (call, input) {
        const accessor = required('secret_id_accessor', input.secret_id_accessor)
        const role = await roleOf(call, input.name, 'failed')
        const found = await secretIds.find(ownerOf(call, role), accessor, call.nowMs)
        if (found !== null) return { kind: 'data', data: secretIdData(found) }
        return { kind: 'data', data: { error: unknownAccessor(accessor) }, as: 'absent' }
      }
    }),
    ...destroyVerbs.flatMap((verb) => [
      operation({
        verb,
        path: 'role/:name/secret-id/destroy',
        access: 'capability',
        summary: 'Destroys a secret_id.',
        fields: bySecretId,
        run: destroySecretId
      }),
      operation({
        verb,
        path: 'role/:name/secret-id-accessor/destroy',
        access: 'capability',
        summary: 'Destroys a secret_id by its accessor.',
        fields: byAccessor,
        run: destroyAccessor
      })
    ])
  ]
}

function required (field: string, value: string | undefined): string {
  if (value === undefined || value === '') throw new BrokerError('invalid_request', `missing ${field}`)
  return value
}

/** Terraform tells by this text that a secret_id is gone (contract 2.3). */
function unknownAccessor (accessor: string): string {
  return `failed to find accessor entry for secret_id_accessor: ${JSON.stringify(accessor)}`
}
