import t from 'tap'
import { createRig } from './rig.ts'

t.test('SEC-285 data that are too large for the store are the caller\'s mistake, and leave nothing behind', async (t) => {
  const { app, ask, must } = await createRig(t)
  const big = { big: 'x'.repeat(1_200_000) }
  const bodyText = JSON.stringify(big)
  const tokens = async () => (await app.tokens.accessors(undefined)).accessors.length
  const before = await tokens()
  const answers = [
    await ask('write', 'cubbyhole/x', { data: big, bodyText }),
    await ask('write', 'sys/wrapping/wrap', { data: big, bodyText, wrapTtlSeconds: 60 }),
    await ask('write', 'auth/token/create', { data: { meta: big } })
  ]
  for (const answer of answers) t.match(answer, { code: 'invalid_request', text: /too large/ })
  t.match(await ask('read', 'cubbyhole/x'), { code: 'not_found' })
  t.equal(await tokens(), before)
  await must('write', 'cubbyhole/x', { a: 1 })
})

t.test('SEC-040 a list goes on only after what can be a name', async (t) => {
  const { ask } = await createRig(t)
  for (const path of ['sys/leases/lookup/aws', 'sys/latchkey/sessions', 'auth/approle/role', 'auth/approle/role/ci/secret-id']) {
    for (const after of ['\0', 'x'.repeat(5000)]) {
      t.match(await ask('list', path, { data: { after } }), { code: /^(ok|invalid_request|not_found)$/ }, path)
    }
  }
})
