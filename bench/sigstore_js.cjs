// Times @sigstore/verify. A line in: {bundle, artifact: base64|null, root, thresholds, count}; a line out:
// {times: milliseconds of each verification, parsing included} or {error}.
const { bundleFromJSON } = require("@sigstore/bundle");
const { TrustedRoot } = require("@sigstore/protobuf-specs");
const { Verifier, toSignedEntity, toTrustMaterial } = require("@sigstore/verify");

const roots = new Map(); // parsed once, as a verifier that stays would
const materialOf = (root) => {
  if (!roots.has(root)) roots.set(root, toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(root))));
  return roots.get(root);
};

require("readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { bundle, artifact, root, thresholds, count } = JSON.parse(line);
    const data = artifact === null ? undefined : Buffer.from(artifact, "base64");
    const times = [];
    try {
      const verifier = new Verifier(materialOf(root), thresholds);
      for (let n = 0; n <= count; n++) {
        const began = performance.now();
        verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(bundle)), data));
        if (n) times.push(performance.now() - began);
      }
      console.log(JSON.stringify({ times }));
    } catch (error) {
      console.log(JSON.stringify({ error: `${error.name} ${error.code || ""}: ${error.message}` }));
    }
  });
