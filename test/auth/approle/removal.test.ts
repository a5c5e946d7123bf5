import t from 'tap'
import { StoreUnavailable, type Store } from '../../../src/core/store.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { sealed } from '../../store/sealed.ts'
import { approle, createRig, otherMount } from './rig.ts'

const names = async (store: Store) => (await store.list('secret-of/', { limit: 1000 })).length

t.test('a deletion that dies after the role is gone is finished by the sweep of any broker', async (t) => {
  const inner = sealed(createMemoryStore())
  let dead = false
  const dying: Store = {
    ...inner,
    async list (prefix, page) {
      if (dead && prefix.startsWith('secret-of/')) throw new StoreUnavailable()
      return inner.list(prefix, page)
    }
  }
  const rig = createRig({ store: dying })
  const other = createRig({ store: inner, clock: rig.clock })
  const roleId = await rig.role('web')
  const { secretId } = await rig.secretId('web')
  for (let i = 0; i < 700; i++) await rig.secretId('web')
  dead = true
  await t.rejects(rig.ask('delete', 'auth/approle/role/web'))
  t.match(await other.login(roleId, secretId), { as: 'invalid_request' }, 'the secret_ids are unreachable at once')
  t.equal(await names(inner), 701)
  rig.clock.advance(59)
  await other.sweep()
  t.equal(await names(inner), 701, 'the one who deletes has a minute')
  rig.clock.advance(1)
  await other.sweep()
  t.equal(await names(inner), 0)
  t.equal((await inner.list('all/role-gone/', { limit: 10, shard: `m-${approle.accessor}` })).length, 0)
  t.strictSame(other.errors, [])
})

t.test('tidying removes what is expired, spent or without its role, of its own mount', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web')
  await rig.role('lost')
  await rig.role('lost', {}, 'team/other')
  await rig.secretId('lost')
  await rig.secretId('lost', {}, 'team/other')
  await rig.secretId('web', { ttl: '1s' })
  const spent = await rig.secretId('web', { num_uses: 2 })
  const kept = await rig.secretId('web', { num_uses: 2 })
  for (const secretId of [spent.secretId, spent.secretId, kept.secretId]) await rig.login(roleId, secretId)
  for (const { accessor } of [approle, otherMount]) {
    await rig.store.commit([{ op: 'delete', key: `m-${accessor}:role/lost` }])
  }
  rig.clock.advance(1)
  t.match(await rig.ask('write', 'auth/approle/tidy/secret-id'), {
    as: 'accepted',
    warnings: [/^Tidy operation successfully started\. Any information from the operation will be printed to .+'s server logs\.$/]
  })
  await rig.method.idle()
  t.equal(await names(rig.store), 2)
  t.match(await rig.login(roleId, kept.secretId), { as: 'ok' })
  await rig.ask('write', 'auth/team/other/tidy/secret-id')
  await rig.method.idle()
  t.equal(await names(rig.store), 1)
  t.strictSame(rig.errors, [])
})

t.test('one tidying at a time, and a login waits for none', async (t) => {
  const inner = sealed(createMemoryStore())
  const held = Promise.withResolvers<undefined>()
  let holding = false
  const rig = createRig({
    store: {
      ...inner,
      async list (prefix, page) {
        if (holding) await held.promise
        return inner.list(prefix, page)
      }
    }
  })
  const roleId = await rig.role('web')
  const { secretId } = await rig.secretId('web')
  holding = true
  t.match(await rig.ask('write', 'auth/approle/tidy/secret-id'), { as: 'accepted' })
  t.match(await rig.ask('write', 'auth/approle/tidy/secret-id'), { as: 'ok', warnings: ['Tidy operation already in progress.'] })
  t.match(await rig.ask('write', 'auth/team/other/tidy/secret-id'), { as: 'accepted' }, 'another mount has its own')
  t.match(await rig.login(roleId, secretId), { as: 'ok' })
  held.resolve(undefined)
  await rig.method.idle()
  t.match(await rig.ask('write', 'auth/approle/tidy/secret-id'), { as: 'accepted' })
  await rig.method.idle()
})

t.test('a tidying that fails says so and can be started again', async (t) => {
  const inner = sealed(createMemoryStore())
  let broken = true
  const rig = createRig({
    store: {
      ...inner,
      async list (prefix, page) {
        if (broken) throw new StoreUnavailable()
        return inner.list(prefix, page)
      }
    }
  })
  await rig.ask('write', 'auth/approle/tidy/secret-id')
  await rig.method.idle()
  t.match(rig.errors, [{ name: 'StoreUnavailable' }])
  broken = false
  t.match(await rig.ask('write', 'auth/approle/tidy/secret-id'), { as: 'accepted' })
  await rig.method.idle()
  t.equal(rig.errors.length, 1)
})

t.test('what a mount had is removed with it, and nothing of another', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web', {}, 'team/other')
  await rig.role('web')
  const kept = await rig.secretId('web', {}, 'team/other')
  for (let i = 0; i < 5; i++) await rig.secretId('web')
  await rig.method.removeMount(approle.accessor)
  await rig.method.removeMount(approle.accessor)
  t.equal(await names(rig.store), 1)
  t.match(await rig.login(roleId, kept.secretId, { mount: 'team/other' }), { as: 'ok' })
})

t.test('the sweep removes expired secret_ids with their last uses, by what the record says', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web')
  const { secretId, accessor } = await rig.secretId('web', { ttl: '10s' })
  const kept = await rig.secretId('web', { ttl: '20s' })
  await rig.login(roleId, secretId)
  rig.clock.advance(10)
  await rig.sweep()
  const shard = accessor.slice(0, 2)
  const records = await rig.store.get([`${shard}:secret/${accessor}`, `${shard}:secret-use/${accessor}`])
  t.strictSame(records, [null, null])
  t.match(await rig.login(roleId, kept.secretId), { as: 'ok' })
})
