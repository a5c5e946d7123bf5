import t from 'tap'
import type { Change, Store } from '../../../src/core/store.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { sealed } from '../../store/sealed.ts'
import { createRig } from './rig.ts'

/** A store that lets a test act just before the next commit that writes a record of a kind. */
function pausing () {
  const inner = sealed(createMemoryStore())
  let kind = ''
  let act: (() => Promise<unknown>) | null = null
  const writes = (change: Change) => change.op === 'put' && change.key.includes(`:${kind}/`)
  const store: Store = {
    ...inner,
    async commit (changes, options) {
      const now = act !== null && changes.some(writes) ? act : null
      if (now !== null) {
        act = null
        await now()
      }
      return inner.commit(changes, options)
    }
  }
  return {
    store,
    beforeWriteOf (word: string, action: () => Promise<unknown>) {
      kind = word
      act = action
    }
  }
}

const refused = { as: 'invalid_request', error: 'invalid role or secret ID' }
const role = 'auth/approle/role/web'

for (const uses of [0, 1, 5]) {
  t.test(`a login that read role and secret_id before they went gives no token after (${uses} uses)`, async (t) => {
    const { store, beforeWriteOf } = pausing()
    const rig = createRig({ store })
    const roleId = await rig.role('web', { role_id: 'chosen-role-id' })
    const first = await rig.secretId('web', { num_uses: uses })
    beforeWriteOf('token', () => rig.ask('delete', role))
    t.match(await rig.login(roleId, first.secretId), refused, 'the role was deleted')
    await rig.role('web', { role_id: 'chosen-role-id' })
    const second = await rig.secretId('web', { num_uses: uses })
    beforeWriteOf('token', () => rig.ask('write', `${role}/secret-id/destroy`, { secret_id: second.secretId }))
    t.match(await rig.login(roleId, second.secretId), refused, 'the secret_id was destroyed')
    t.equal((await store.list('token/approle_approle/', { limit: 10 })).length, 0)
  })
}

t.test('a secret_id registered anew between a login\'s reading and its token is not the one that was judged', async (t) => {
  const { store, beforeWriteOf } = pausing()
  const rig = createRig({ store })
  const roleId = await rig.role('web')
  const secret = { secret_id: 'chosen-chosen-chosen' }
  await rig.ask('write', `${role}/custom-secret-id`, secret)
  beforeWriteOf('token', async () => {
    await rig.ask('write', `${role}/secret-id/destroy`, secret)
    await rig.ask('write', `${role}/custom-secret-id`, { ...secret, cidr_list: '10.0.0.0/8' })
  })
  t.match(await rig.login(roleId, secret.secret_id), refused)
})

t.test('a secret_id written after its role went is taken back', async (t) => {
  const { store, beforeWriteOf } = pausing()
  const rig = createRig({ store })
  await rig.role('web')
  beforeWriteOf('secret', () => rig.ask('delete', role))
  t.match(await rig.ask('write', `${role}/secret-id`), { as: 'not_found', error: 'role "web" does not exist' })
  t.equal((await store.list('secret-of/', { limit: 10 })).length, 0)
})

t.test('a role_id that moved between the reads of a login leads nowhere', async (t) => {
  const inner = sealed(createMemoryStore())
  let act: (() => Promise<unknown>) | null = null
  const store: Store = {
    ...inner,
    async get (keys) {
      const [first = '', ...others] = keys
      if (act === null || !first.includes(':role-id/')) return inner.get(keys)
      const index = await inner.get([first])
      const now = act
      act = null
      await now()
      return [...index, ...await inner.get(others)]
    }
  }
  const rig = createRig({ store })
  const roleId = await rig.role('web', { role_id: 'former' })
  const { secretId } = await rig.secretId('web')
  t.match(await rig.login(roleId, secretId), { as: 'ok' })
  act = () => rig.ask('write', `${role}/role-id`, { role_id: 'present' })
  t.match(await rig.login('former', secretId), refused)
  t.match(await rig.login('present', secretId), { as: 'ok' })
})

t.test('a last use is never written for a secret_id that is gone', async (t) => {
  const { store, beforeWriteOf } = pausing()
  const rig = createRig({ store })
  const roleId = await rig.role('web')
  const { secretId, accessor } = await rig.secretId('web')
  beforeWriteOf('token', () => rig.ask('write', `${role}/secret-id/destroy`, { secret_id: secretId }))
  await rig.login(roleId, secretId)
  t.strictSame(await store.get([`${accessor.slice(0, 2)}:secret-use/${accessor}`]), [null])
})
