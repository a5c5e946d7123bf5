import t from 'tap'
import { BrokerError, type ErrorCode } from '../../src/core/errors.ts'
import { StoreConflict, StoreIntegrity, StoreUnavailable, StoreUnknown } from '../../src/core/store.ts'
import { errorStatuses, logFailure, toErrorAnswer } from '../../plugins/errors.ts'

t.test('every code of the broker has the status of the contract', async (t) => {
  const expected: readonly (readonly [ErrorCode, number])[] = [
    ['invalid_request', 400], ['permission_denied', 403], ['not_found', 404], ['unsupported_operation', 405], ['too_large', 413], ['unsupported_media_type', 415],
    ['limit_exceeded', 429], ['failed', 500], ['upstream_failed', 502], ['upstream_throttled', 502], ['unavailable', 503]
  ]
  for (const [code, status] of expected) {
    t.match(toErrorAnswer(new BrokerError(code, 'a "quoted" text')), { status, json: '{"errors":["a \\"quoted\\" text"]}' }, code)
  }
  t.strictSame([...errorStatuses].sort(), [...new Set(expected.map(([, status]) => status))].sort())
  t.equal(toErrorAnswer(new BrokerError('not_found', '')).json, '{"errors":[]}')
})

t.test('SEC-303 failures of the store and of anything else have fixed texts', async (t) => {
  for (const [error, status, text] of [
    [new StoreUnavailable('CNRY'), 503, 'the store is not available'], [new StoreUnknown(new Error('CNRY')), 503, 'the store is not available'],
    [new StoreIntegrity('4f:token/CNRY'), 500, 'integrity error'], [new StoreConflict(0, '4f:token/CNRY', 'absent'), 500, 'internal error'],
    [new TypeError('CNRY'), 500, 'internal error'], ['CNRY', 500, 'internal error'], [undefined, 500, 'internal error'], [{ statusCode: 418, message: 'CNRY' }, 500, 'internal error']
  ] as const) {
    const answer = toErrorAnswer(error)
    t.match(answer, { status, json: JSON.stringify({ errors: [text] }), retryAfterSeconds: status === 503 ? 1 : 0 })
  }
})

t.test('SEC-280 the log gets names, codes and places, and no text', async (t) => {
  const logged: object[] = []
  const log = { error: (fields: object) => { logged.push(fields) } }
  logFailure(log, 'id', new BrokerError('failed', 'public', { cause: Object.assign(new Error('CNRY\n    at CNRY'), { code: 'EX', config: 'CNRY' }) }))
  logFailure(log, 'id', new BrokerError('invalid_request', 'a caller\'s mistake'))
  logFailure(log, 'id', 'CNRY')
  t.equal(logged.length, 2)
  t.match(logged[0], { requestId: 'id', failure: { name: 'BrokerError' }, cause: { name: 'Error', code: 'EX' } })
  t.notMatch(JSON.stringify(logged), /CNRY/)
})
