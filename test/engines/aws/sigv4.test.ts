import t from 'tap'
import { createSigner, deriveKey } from '../../../src/engines/aws/sigv4.ts'
import { signedHeaders } from '../../emulator/helpers/sign.ts'

t.test('the signing key is that of AWS\'s own example', async (t) => {
  // AWS General Reference, "Deriving the signing key": examples in several languages, 2012-02-15.
  const key = deriveKey('wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', '20120215', 'us-east-1', 'iam')
  t.equal(key.export().toString('hex'), 'f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d')
})

t.test('a signature is what an independent signer makes, also after the day, the secret and the token changed', async (t) => {
  const signer = createSigner({ region: 'eu-west-1', service: 'sts' })
  const contentType = 'application/x-www-form-urlencoded'
  const body = 'Action=AssumeRole&Version=2011-06-15&RoleSessionName=%C3%BC'
  for (const nowMs of [Date.UTC(2026, 10, 21, 23, 59, 59, 999), Date.UTC(2026, 10, 22), Date.UTC(2026, 10, 21)]) {
    for (const credentials of [
      { accessKeyId: 'AKIAONE', secretAccessKey: 'one' }, { accessKeyId: 'ASIATWO', secretAccessKey: 'two', sessionToken: 'a/b+c=' }
    ]) {
      const host = 'sts.eu-west-1.amazonaws.com'
      const expected = signedHeaders({ method: 'POST', host, target: '/', headers: { 'content-type': contentType }, body }, credentials, { service: 'sts', region: 'eu-west-1', nowMs })
      t.equal(signer.sign({ host, contentType, body, credentials, nowMs }).authorization, expected.authorization)
    }
  }
})
