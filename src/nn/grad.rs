//! First derivatives: the only place that runs a backward pass.

use super::host::{read, with_f32};
use super::kernel::collect_leaves;
use super::parallel::Pool;
use super::shards::sum_gradients;
use crate::error::{Error, Result};
use candle_core::{DType, Tensor, Var};

/// The gradient of every parameter, in the order of the parameters.
#[derive(Clone, Debug, Default)]
pub struct Gradients(pub(super) Vec<(String, Option<Tensor>)>);

/// Gradients of a scalar loss with respect to named parameters.
///
/// A parameter that the loss does not depend on has `None`: see [`Gradients::check_complete`].
///
/// # Errors
/// When the loss is not a scalar or the backward pass fails.
pub fn gradients(loss: &Tensor, vars: &[(String, Var)]) -> Result<Gradients> {
    Ok(gradients_with(loss, vars, &[])?.0)
}

/// As [`gradients`], and the gradients of other inputs of the graph.
///
/// # Errors
/// As [`gradients`], and when no gradient reaches one of `inputs`.
pub fn gradients_with(loss: &Tensor, vars: &[(String, Var)], inputs: &[&Var]) -> Result<(Gradients, Vec<Tensor>)> {
    if loss.elem_count() != 1 {
        return Err(Error::device(format!("a loss has one number; got shape {:?}", loss.dims())));
    }
    #[allow(clippy::disallowed_methods, reason = "this is the place that the ban sends everybody to")]
    let (store, mut leaves) = collect_leaves(|| loss.backward());
    let mut store = store?;
    // candle detaches a gradient on its way down, but not the last product: `w · gradient` would still lead back to `w`
    let mut remove = |var: &Var| -> Result<Option<Tensor>> {
        let through_graph = store.remove(var).map(|gradient| gradient.detach());
        let Some(added) = leaves.remove(&var.id()) else { return Ok(through_graph) };
        let added = Tensor::from_vec(added, var.shape(), var.device())?;
        Ok(Some(through_graph.map_or_else(|| Ok(added.clone()), |gradient| gradient + &added)?))
    };
    let of_vars = vars.iter().map(|(name, var)| Ok((name.clone(), remove(var)?))).collect::<Result<_>>()?;
    let of_inputs = inputs
        .iter()
        .enumerate()
        .map(|(index, var)| remove(var)?.ok_or_else(|| Error::device(format!("no gradient reached input {index}"))))
        .collect::<Result<_>>()?;
    Ok((Gradients(of_vars), of_inputs))
}

impl Gradients {
    /// Names and gradients.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Option<&Tensor>)> {
        self.0.iter().map(|(name, gradient)| (name.as_str(), gradient.as_ref()))
    }

    /// The gradient of one parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.iter().find(|(known, _)| known == name).and_then(|(_, gradient)| gradient.as_ref())
    }

    /// Adds the gradients of another loss with respect to the same parameters.
    ///
    /// # Errors
    /// When the parameters differ.
    pub fn add(&mut self, other: Self) -> Result<()> {
        *self = sum_gradients(&[std::mem::take(self), other], Pool::inline())?;
        Ok(())
    }

    /// Multiplies every gradient by a number.
    ///
    /// # Errors
    /// When the tensor operation fails.
    pub fn scale(&mut self, factor: f64) -> Result<()> {
        for (_, gradient) in &mut self.0 {
            if let Some(tensor) = gradient {
                *tensor = (&*tensor * factor)?;
            }
        }
        Ok(())
    }

    /// The Euclidean length over all parameters, summed in f64.
    ///
    /// # Errors
    /// When the numbers cannot be read.
    pub fn norm(&self, pool: &Pool) -> Result<f64> {
        Ok(self.norm_with(&[], pool)?.0)
    }

    /// [`Gradients::norm`] and the numbers of some figures of the same step, each flat and in f64: what lies on a device comes
    /// back in one transfer.
    ///
    /// # Errors
    /// As [`Gradients::norm`].
    pub fn norm_with(&self, figures: &[&Tensor], pool: &Pool) -> Result<(f64, Vec<Vec<f64>>)> {
        let all: Vec<&Tensor> = self.0.iter().filter_map(|(_, gradient)| gradient.as_ref()).collect();
        let sums = pool.worth(self.count()).map(all.len(), |index| Ok(square_sum(all[index])))?;
        if let Some(sums) = sums.into_iter().collect::<Option<Vec<_>>>() {
            return Ok((sums.iter().sum::<f64>().sqrt(), read(figures)?));
        }
        let squares = |tensor: &&Tensor| tensor.to_dtype(DType::F64)?.sqr()?.sum_all();
        let squares = all.iter().map(squares).collect::<candle_core::Result<Vec<_>>>()?;
        let mut figures = read(&figures.iter().copied().chain(&squares).collect::<Vec<_>>())?;
        let squares = figures.split_off(figures.len() - squares.len());
        Ok((squares.iter().flatten().sum::<f64>().sqrt(), figures))
    }

    /// How many numbers there are.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().filter_map(|(_, gradient)| gradient.as_ref()).map(Tensor::elem_count).sum()
    }

    /// Fails when a parameter has no gradient: it is unused, or an operation on the way to it has none.
    ///
    /// # Errors
    /// A device error "no gradient reached `NAME`".
    pub fn check_complete(&self) -> Result<()> {
        match self.0.iter().find(|(_, gradient)| gradient.is_none()) {
            Some((name, _)) => Err(Error::device(format!("no gradient reached `{name}`"))),
            None => Ok(()),
        }
    }
}

/// Of a contiguous f32 tensor on the CPU.
fn square_sum(tensor: &Tensor) -> Option<f64> {
    with_f32(tensor, |values| {
        // sixteen running sums: the order of additions is fixed, and the compiler can use wide registers
        let mut sums = [0.0_f64; 16];
        let (chunks, rest) = values.as_chunks::<16>();
        for chunk in chunks {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum += f64::from(*value) * f64::from(*value);
            }
        }
        sums.iter().sum::<f64>() + rest.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn var(value: &[f64]) -> Var {
        Var::from_tensor(&Tensor::new(value, &Device::Cpu).unwrap()).unwrap()
    }

    fn named(items: &[(&str, &Var)]) -> Vec<(String, Var)> {
        items.iter().map(|(name, var)| ((*name).to_owned(), (*var).clone())).collect()
    }

    #[test]
    fn an_unused_parameter_is_named() {
        let (a, b) = (var(&[3.0]), var(&[4.0]));
        let loss = a.sqr().unwrap().sum_all().unwrap();
        let gradients = gradients(&loss, &named(&[("a", &a), ("b", &b)])).unwrap();
        assert_eq!(gradients.check_complete().unwrap_err().to_string(), "no gradient reached `b`");
        assert_eq!(gradients.get("a").unwrap().to_vec1::<f64>().unwrap(), [6.0]);
    }

    #[test]
    fn sums_scales_and_norms_are_those_of_the_flat_vector() {
        let (a, b) = (var(&[3.0]), var(&[4.0]));
        let vars = named(&[("a", &a), ("b", &b)]);
        let loss = (a.sqr().unwrap() + b.sqr().unwrap()).unwrap().sum_all().unwrap();
        let mut total = gradients(&loss, &vars).unwrap();
        let pool = Pool::inline();
        assert_eq!(total.norm(pool).unwrap(), 10.0);
        total.add(total.clone()).unwrap();
        total.scale(0.25).unwrap();
        assert_eq!((total.norm(pool).unwrap(), total.count()), (5.0, 2));
        assert!(total.add(Gradients::default()).is_err());
    }

    #[test]
    fn a_gradient_does_not_lead_back_to_the_weights_it_was_made_of() {
        // d(w x)/dx = w as a number: in a second loss it has no slope
        let (w, x, y) = (var(&[3.0]), var(&[5.0]), var(&[7.0]));
        let loss = (w.as_tensor() * x.as_tensor()).unwrap().sum_all().unwrap();
        let (_, inputs) = gradients_with(&loss, &[], &[&x]).unwrap();
        let second = (&inputs[0] * y.as_tensor()).unwrap().sum_all().unwrap();
        let gradients = gradients(&second, &named(&[("w", &w), ("y", &y)])).unwrap();
        assert!(gradients.get("w").is_none());
        assert_eq!(gradients.get("y").unwrap().to_vec1::<f64>().unwrap(), [3.0]);
    }

    #[test]
    fn inputs_get_their_gradient_too() {
        let (a, x) = (var(&[3.0]), var(&[5.0]));
        let loss = (a.as_tensor() * x.as_tensor()).unwrap().sum_all().unwrap();
        let (_, inputs) = gradients_with(&loss, &named(&[("a", &a)]), &[&x]).unwrap();
        assert_eq!(inputs[0].to_vec1::<f64>().unwrap(), [3.0]);
        assert!(gradients_with(&loss, &[], &[&var(&[1.0])]).is_err());
    }
}
