import t from 'tap'
import { federatedNameOf, sessionNameOf } from '../../../src/engines/aws/session-name.ts'

const leaseId = '4fABCDEFGHIJKLMNOPQRSTUV'
const base = { asked: null, runId: null, displayName: 'token-ci job', roleName: 'one', leaseId, nowMs: 1_780_000_000_123 }
const taken = /^[\w+=,.@-]{2,64}$/

t.test('SEC-147: a session is named after its lease', async (t) => {
  t.equal(sessionNameOf(base), 'vault-token-ci_job-one-1780000000-CDEFGHIJKLMNOPQRSTUV'.replace('CDEFGHIJKLMNOPQRSTUV', leaseId.slice(-20)))
  t.equal(sessionNameOf({ ...base, leaseId: `aws/sts/one/${leaseId}` }), sessionNameOf(base), 'with and without its path')
  t.equal(sessionNameOf({ ...base, runId: '01JDXYZ' }), `01JDXYZ.${leaseId.slice(-8)}`)
  t.equal(federatedNameOf(base), `vault-1780000000-${leaseId.slice(-15)}`)
  t.equal(federatedNameOf({ ...base, runId: '01JDXYZ' }), `01JDXYZ.${leaseId.slice(-8)}`)
})

t.test('SEC-166: what is too long is cut from names and never from the lease, and every character is one that STS takes (cleaned by rewriting, as clients of this API expect)', async (t) => {
  for (const text of ['x'.repeat(300), '../..', 'a b', 'ü'.repeat(80), '😀'.repeat(70), '', '\u0000\n', 'a:b/c']) {
    const named = sessionNameOf({ ...base, displayName: text, roleName: text })
    t.match(named, taken)
    t.ok(named.endsWith(`-1780000000-${leaseId.slice(-20)}`))
    const run = sessionNameOf({ ...base, runId: text || 'r' })
    t.match(run, taken)
    t.ok(run.endsWith(`.${leaseId.slice(-8)}`))
    t.match(federatedNameOf({ ...base, runId: text || 'r' }), /^[\w+=,.@-]{2,32}$/)
  }
  t.equal(sessionNameOf({ ...base, asked: `my session/ü=,.@-+${'x'.repeat(65)}` }), `my_session__=,.@-+${'x'.repeat(46)}`)
  t.equal(sessionNameOf({ ...base, asked: 'mine', runId: '01JDXYZ' }), 'mine')
})
