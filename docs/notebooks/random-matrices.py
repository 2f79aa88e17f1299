# %% [markdown]
# # Spectra of random matrices
#
# Large independent random matrices behave like *free* variables: the eigenvalues of any polynomial in them follow from the laws
# of the parts alone. Write the polynomial, and ask for its law.

# %%
import numpy as np

import freeness as fr

x, y = fr.free_variables(fr.Semicircle(), fr.MarchenkoPastur(1.0))
law = (x * y + y * x).law()
law

# %% [markdown]
# One matrix of size 1000 for comparison: `x` is a symmetric Gaussian matrix, `y` a Wishart matrix.

# %%
rng = np.random.default_rng(0)
n = 1000
g, h = rng.standard_normal((2, n, n)) / np.sqrt(n)
gaussian, wishart = (g + g.T) / np.sqrt(2), h @ h.T
eigenvalues = np.linalg.eigvalsh(gaussian @ wishart + wishart @ gaussian)
law.plot(sampled=eigenvalues, title="xy + yx: theory and one matrix of size 1000")

# %% [markdown]
# Moments, quantiles, edges and distances come from the same object.

# %%
print("moments by theory:", [round(float(m), 3) for m in (x * y + y * x).moments(4)])
print("of the matrix:    ", [round(float(np.mean(eigenvalues**k)), 3) for k in (1, 2, 3, 4)])
print("90 % quantile:", round(float(law.quantile(0.9)), 3), "and", round(float(np.quantile(eigenvalues, 0.9)), 3))
print("distance of the distribution functions:", round(fr.kolmogorov(law, eigenvalues), 4))

# %% [markdown]
# ## A network is such a product
#
# The Jacobian of a network multiplies weight matrices with slopes of the activation. Its law is known without drawing a network.

# %%
network = fr.mlp(depth=20, width=512, activation="hardtanh", weights="haar", sigma_w=1.0, sigma_b=0.0)
fr.jacobian_law(network, qhat0=0.1).plot(title="JJᵀ of 20 layers")
