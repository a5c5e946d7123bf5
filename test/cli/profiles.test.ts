import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { sayHidingProfile } from '../../src/cli/profiles.ts'
import { createFolder } from '../helpers/broker.ts'
import { testParts } from './rig.ts'

t.test('a default profile that has credentials, which clients would take before a sidecar\'s, is told; others are not', async (t) => {
  const folder = createFolder(t)
  const config = path.join(folder, 'config')
  const told = async (text: string) => {
    writeFileSync(config, text)
    const { parts, said } = testParts({ HOME: folder, AWS_CONFIG_FILE: config })
    await sayHidingProfile(parts)
    return said.join('')
  }
  for (const text of [
    '[default]\naws_access_key_id = CNRYkey\n', '[other]\nregion = x\n[ default ]\nregion=eu-west-1\n  credential_process=x\n', '[profile default]\r\nsso_session = x\r\n'
  ]) {
    t.match(await told(text), /^latchkey: the profile \[default\] of \S+config has credentials, .*AWS_CONFIG_FILE=\/dev\/null hides that file\n$/)
    t.notMatch(await told(text), 'CNRY')
  }
  for (const text of ['', '[default]\nregion = eu-west-1\n', '[profile other]\nrole_arn = x\n', '[default]\nregion = x\n[other]\naws_access_key_id = x\n', '# [default]\naws_access_key_id = x\n']) t.equal(await told(text), '', text)
})
