import t from 'tap'
import type { Store } from '../../src/core/store.ts'
import { until } from '../helpers/redis.ts'
import { createRig, createShared, textAt } from './rig.ts'

t.test('SEC-372 work in the background that does not end does not hold up a stop', async (t) => {
  let isStuck = false
  let reached = 0
  const wrap = (store: Store): Store => ({
    ...store,
    async list (prefix, page) {
      if (!isStuck || !prefix.startsWith('child-of/')) return store.list(prefix, page)
      reached++
      return new Promise(() => {})
    }
  })
  const { app, must } = await createRig(t, { wrap })
  const accessor = textAt(await must('write', 'auth/token/create', { policies: ['default'] }), 'auth', 'accessor')
  isStuck = true
  await must('write', 'auth/token/revoke-accessor', { accessor })
  await until('its burial hangs', () => reached > 0)
  const from = performance.now()
  await app.close(8000)
  t.ok(performance.now() - from < 5000)
})

t.test('what was made through a mount while it was taken away ends within seconds', async (t) => {
  const shared = createShared()
  let held: Promise<void> | null = null
  const wrap = (store: Store): Store => ({
    ...store,
    async commit (changes, options) {
      if (changes.some(({ key }) => key.includes(':token/'))) await held
      return store.commit(changes, options)
    }
  })
  const [one, other] = [await createRig(t, { shared }), await createRig(t, { shared, wrap })]
  await one.must('write', 'auth/approle/role/r', { token_policies: ['default'], bind_secret_id: false, token_bound_cidrs: ['127.0.0.0/8'] })
  const roleId = textAt(await one.must('read', 'auth/approle/role/r/role-id'), 'data', 'role_id')
  let release = () => {}
  held = new Promise((resolve) => { release = resolve })
  const login = other.ask('write', 'auth/approle/login', { clientToken: null, data: { role_id: roleId } })
  await one.must('delete', 'sys/auth/approle')
  release()
  const clientToken = textAt((await login).body, 'auth', 'client_token')
  const lives = async () => {
    await one.must('write', 'auth/token/tidy')
    return (await one.ask('read', 'auth/token/lookup-self', { clientToken })).code === 'ok'
  }
  t.ok(await lives(), 'nobody could know of it')
  await until('it is ended', async () => !await lives(), 10_000)
})
