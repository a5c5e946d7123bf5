import { parseArgs } from 'node:util'
import { createSteps } from '../../src/demo/steps.ts'
import { createRequestRuns } from './play/requests.ts'
import type { Flavour } from './play/runs.ts'
import { playStory } from './play/story.ts'
import { createTerraformRuns, findTerraform } from './play/terraform.ts'

/**
 * Plays policy-admin, manager and operator of both flavours, each on a broker of its own: with Terraform
 * where it and the providers are installed, else by sending the same requests. `--without-terraform`
 * sends them anyway. Exits non-zero when a step is wrong.
 */
const { values } = parseArgs({ options: { 'without-terraform': { type: 'boolean', default: false } } })
const titles: Readonly<Record<Flavour, string>> = { http: 'The http data source', vault: 'The vault provider' }
const { step, wrong } = createSteps()

for (const flavour of ['http', 'vault'] as const) {
  const tools = values['without-terraform'] ? 'Terraform was not asked for' : findTerraform([flavour, 'aws'])
  const how = typeof tools === 'string' ? `${tools}: the same requests are sent without it` : 'with Terraform'
  process.stdout.write(`\n${titles[flavour]}, ${how}.\n\n`)
  await playStory({
    flavour,
    step,
    createRuns: (at) => typeof tools === 'string' ? createRequestRuns(flavour, at) : createTerraformRuns(tools, flavour, at)
  })
}
process.stdout.write(wrong() === 0 ? '\nThe story went as it should.\n' : `\n${wrong()} step(s) went wrong.\n`)
process.exit(wrong() === 0 ? 0 : 1)
